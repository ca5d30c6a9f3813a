/**
 * Configuration files as they are found: read, or said why not.
 *
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A file that is there but cannot be used. */
export interface SiteProblem {
  readonly file: string
  /** Line and column or line, where it parses up to there. */
  readonly at?: string
  readonly message: string
  /** It may not be read by this user, which says nothing about it. */
  readonly isForbidden: boolean
}

/** A text, or what is wrong with its file; undefined when there is no such file. */
export type FileRead = { readonly text: string } | { readonly problem: SiteProblem } | undefined

/** Larger files are no configuration. */
const MAX_BYTES = 4 * 1024 * 1024

/**
 * Reads a file.
 *
 * @param file Its path.
 * @returns Its text, what is wrong, or undefined when there is none.
 */
export function readIfThere(file: string): FileRead {
  try {
    const bytes = readFileSync(file)
    if (bytes.length > MAX_BYTES) return { problem: { file, message: 'is larger than 4 MiB', isForbidden: false } }
    return { text: bytes.toString('utf8') }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    const isForbidden = code === 'EACCES' || code === 'EPERM'
    const message = isForbidden ? 'this user may not read it' : `cannot be read: ${String(code)}`
    return { problem: { file, message, isForbidden } }
  }
}

/**
 * Lists the files of a folder of snippets.
 *
 * @param folder Such as `/etc/keylime/verifier.conf.d`.
 * @returns Their paths, sorted by name; none when there is no such folder.
 */
export function snippetsIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => join(folder, entry.name))
      .toSorted()
  } catch {
    return []
  }
}
