/**
 * The bundle in files, each replaced whole.
 *
 * @module
 */
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bundle, type BundleFormat, formatBundle } from '@tower-of-omens/spire-sdk'

/** Name of the file of each format. */
export const FILE_NAMES: Readonly<Record<BundleFormat, string>> = {
  pem: 'bundle.pem',
  jwks: 'jwks.json',
  spiffe: 'bundle.json',
}

const MODE = 0o644

/**
 * Writes the files that differ from the bundle. Every format is made before the first is written.
 *
 * @param bundle As SPIRE has it.
 * @param folder Where to.
 * @param formats Which files.
 * @returns Names of the files that were replaced.
 * @throws {Error} The bundle cannot be formatted, or a file cannot be written; the old one stays in place then.
 */
export async function writeBundleFiles(
  bundle: Bundle,
  folder: string,
  formats: readonly BundleFormat[],
): Promise<readonly string[]> {
  const wanted = formats.map((format) => ({ name: FILE_NAMES[format], text: formatBundle(bundle, format) }))
  const changed: string[] = []
  for (const { name, text } of wanted) {
    if ((await textOf(join(folder, name))) === text) continue
    await replaceFile(join(folder, name), text)
    changed.push(name)
  }
  return changed
}

/** Reads a file; `undefined` when there is none, or it cannot be read and is to be replaced. */
async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return undefined
  }
}

/** Replaces a file so that a reader sees the old one or the new one, also after the power went. */
async function replaceFile(file: string, text: string): Promise<void> {
  const fresh = `${file}.new`
  try {
    const handle = await open(fresh, 'w', MODE)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(fresh, file)
  } catch (error) {
    // What went wrong first is what the operator must know.
    await rm(fresh, { force: true }).catch(() => undefined)
    throw error
  }
}
