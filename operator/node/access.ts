/**
 * Whether a user can really read a file: tried as that user, with its groups, since modes alone do not tell (access lists,
 * folders above, security modules).
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { type User, userNamed } from './accounts.ts'

/** Why a user cannot read files, or that it cannot be tried. */
export type Access =
  | { readonly is: 'readable' }
  | { readonly is: 'refused'; readonly files: readonly string[] }
  | { readonly is: 'untried' }

/**
 * Tries to open files as a user.
 *
 * @param user Who.
 * @param files Which.
 * @returns Whether all can be read; `untried` without root.
 */
export function accessAs(user: User, files: readonly string[]): Promise<Access> {
  if (process.geteuid?.() !== 0) return Promise.resolve({ is: 'untried' })
  const { promise, resolve } = Promise.withResolvers<Access>()
  // setpriv sets all groups before it becomes the user, which a child of Node's does not.
  const words = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    `--groups=${user.groups.join(',')}`,
    '--',
    '/bin/sh',
    '-c',
    'for file in "$@"; do head -c 1 -- "$file" >/dev/null 2>&1 || printf "%s\\n" "$file"; done',
    'sh',
    ...files,
  ]
  execFile('setpriv', words, { timeout: 10_000 }, (error, stdout) => {
    if (error !== null) return resolve({ is: 'untried' })
    const refused = stdout.split('\n').filter((line) => line !== '')
    resolve(refused.length === 0 ? { is: 'readable' } : { is: 'refused', files: refused })
  })
  return promise
}

/**
 * Tells which of several users cannot read files.
 *
 * @param names Users.
 * @param files Which they must read.
 * @returns One line about the first that cannot; undefined when all can or it cannot be tried.
 */
export async function readersProblem(names: readonly string[], files: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const user = userNamed(name)
    if (user === undefined) return `there is no user ${name}, who is to read ${files.join(' and ')}`
    const access = await accessAs(user, files)
    if (access.is === 'refused') return `user ${name} cannot read ${access.files.join(' and ')}`
  }
  return undefined
}
