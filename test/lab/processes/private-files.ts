/**
 * Secrets that other programs write: readable by their owner only.
 *
 * @module
 */
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Takes a folder's files away from group and others, whatever mode their maker gave them.
 *
 * @param dir Folder; its own folders are left alone.
 */
export async function makePrivate(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    // A temporary file may be gone by now.
    if (entry.isFile()) await chmod(join(dir, entry.name), 0o600).catch(() => {})
  }
}
