/**
 * A user without any rights, for what only other users meet: all of a tower runs as root.
 *
 * @module
 */
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A program where nobody may run it. */
export interface NobodysProgram {
  readonly path: string
  /** Runs it as nobody; arguments follow. */
  readonly words: readonly [string, ...string[]]
  remove(): void
}

/**
 * Copies a program to where every user may run it: what is built or raised here lies in folders of its owner's.
 *
 * @param program The program.
 * @param name What the copy is called.
 */
export function nobodysProgram(program: string, name: string): NobodysProgram {
  const folder = mkdtempSync(join(tmpdir(), 'nobody-'))
  const path = join(folder, name)
  copyFileSync(program, path)
  for (const each of [folder, path]) chmodSync(each, 0o755)
  const words = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', path] as const
  return { path, words: [...words], remove: () => rmSync(folder, { recursive: true, force: true }) }
}
