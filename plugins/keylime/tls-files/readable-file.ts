/**
 * Small text files; one that cannot be read is explained by path, owner, mode and our own user.
 *
 * @module
 */
import { readFileSync, type Stats, statSync } from 'node:fs'
import { dirname } from 'node:path'

/** Bound on one file: a whole system bundle of CA certificates takes 250 KiB. */
export const MAX_FILE_BYTES = 4 * 1024 * 1024

/** A file's text, or one sentence about why there is none. */
export type FileText = { readonly text: string; readonly mode: number } | { readonly problem: string }

/**
 * Reads a text file.
 *
 * @param path Path of a regular file (or a link to one) of 1 byte to 4 MiB.
 * @returns Its text (Latin-1: PEM is ASCII) and permissions, or the problem, without the path.
 */
export function readTextFile(path: string): FileText {
  try {
    const stats = statSync(path)
    if (stats.isDirectory()) return { problem: 'is a folder, expected a file' }
    if (!stats.isFile()) return { problem: 'is not a regular file' }
    if (stats.size > MAX_FILE_BYTES)
      return { problem: `is ${stats.size} bytes long, expected at most ${MAX_FILE_BYTES}` }
    const text = readFileSync(path, 'latin1')
    return text.trim() === '' ? { problem: 'is empty' } : { text, mode: stats.mode & 0o7777 }
  } catch (error) {
    return { problem: explainAccess(path, codeOf(error)) }
  }
}

function explainAccess(path: string, code: string): string {
  switch (code) {
    case 'ENOENT':
      return missingPart(path)
    case 'ENOTDIR':
      return 'cannot be reached: a part of its path is not a folder'
    case 'ELOOP':
      return 'cannot be reached: its links go in a circle'
    case 'EACCES':
    case 'EPERM':
      return refusal(path)
    default:
      return `cannot be read (${code})`
  }
}

function missingPart(path: string): string {
  let missing = path
  while (dirname(missing) !== missing && statOf(dirname(missing)) === undefined) missing = dirname(missing)
  return missing === path ? 'does not exist' : `does not exist: there is no ${missing}`
}

// The file itself may be open to all while a folder above it is not.
function refusal(path: string): string {
  const stats = statOf(path)
  if (stats !== undefined) return `cannot be read: it belongs to ${ownerOf(stats)}; ${ourselves()}`
  let folder = dirname(path)
  while (dirname(folder) !== folder && statOf(folder) === undefined) folder = dirname(folder)
  const above = statOf(folder)
  const owner = above === undefined ? '' : ` (${ownerOf(above)})`
  return `cannot be reached: folder ${folder}${owner} does not let us in; ${ourselves()}`
}

function ownerOf(stats: Stats): string {
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0')
  const [user, group] = [nameOf('/etc/passwd', stats.uid), nameOf('/etc/group', stats.gid)]
  return `${user}:${group} (uid ${stats.uid}, gid ${stats.gid}) with mode ${mode}`
}

function ourselves(): string {
  const [uid, gid] = [process.geteuid?.() ?? -1, process.getegid?.() ?? -1]
  const groups = (process.getgroups?.() ?? []).filter((group) => group !== gid)
  const also = groups.length === 0 ? '' : `, groups ${groups.map((group) => nameOf('/etc/group', group)).join(', ')}`
  return `we run as ${nameOf('/etc/passwd', uid)} (uid ${uid}), group ${nameOf('/etc/group', gid)} (gid ${gid})${also}`
}

// Both files are `name:password:id:...`; without them, or for an id of a directory service, the number has to do.
function nameOf(database: string, id: number): string {
  try {
    const line = readFileSync(database, 'utf8')
      .split('\n')
      .find((entry) => entry.split(':')[2] === String(id))
    return line?.split(':')[0] ?? String(id)
  } catch {
    return String(id)
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)
}
