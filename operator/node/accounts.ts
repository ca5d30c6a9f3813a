/**
 * Users and groups of this machine, by name.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { EXIT } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'

/** Numbers of a user and a group. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** A user with everything that decides what it may open. */
export interface User extends Account {
  readonly name: string
  /** All groups it is in, its own first. */
  readonly groups: readonly number[]
}

/** The two databases. */
export interface AccountFiles {
  readonly passwd: string
  readonly group: string
}

const FILES: AccountFiles = { passwd: '/etc/passwd', group: '/etc/group' }

/**
 * Finds a user.
 *
 * @param name Its name.
 * @param files The databases.
 * @returns The user; undefined when there is none.
 */
export function userNamed(name: string, files: AccountFiles = FILES): User | undefined {
  const fields = linesOf(files.passwd).find(([user]) => user === name)
  if (fields === undefined) return undefined
  const [uid, gid] = [Number(fields[2]), Number(fields[3])]
  const more = linesOf(files.group).filter(([, , , members = '']) => members.split(',').includes(name))
  return { name, uid, gid, groups: [gid, ...more.map(([, , id]) => Number(id)).filter((id) => id !== gid)] }
}

/**
 * Finds user and group of an owner.
 *
 * @param owner Such as `keylime:tss`, or `keylime` for the user's own group.
 * @param files The databases.
 * @returns Their numbers.
 * @throws {OperatorError} `TK-CONF-INVALID`: there is no such user or group.
 */
export function accountOf(owner: string, files: AccountFiles = FILES): Account {
  const [userName = '', groupName] = owner.split(':')
  const user = userNamed(userName, files)
  if (user === undefined)
    throw new OperatorError('TK-CONF-INVALID', `owner ${owner}: there is no user ${userName}`, { exit: EXIT.usage })
  if (groupName === undefined) return { uid: user.uid, gid: user.gid }
  const group = linesOf(files.group).find(([name]) => name === groupName)
  if (group === undefined)
    throw new OperatorError('TK-CONF-INVALID', `owner ${owner}: there is no group ${groupName}`, { exit: EXIT.usage })
  return { uid: user.uid, gid: Number(group[2]) }
}

function linesOf(file: string): readonly (readonly string[])[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'))
}

/**
 * Describes the user that a process runs as, with the groups that it really has.
 *
 * @param uid Its number.
 * @param pid The process, whose groups count before those of the database.
 * @param files The databases.
 * @returns The user; named by its number when the database does not know it.
 */
export function userOf(uid: number, pid: number, files: AccountFiles = FILES): User {
  const name = linesOf(files.passwd).find(([, , id]) => Number(id) === uid)?.[0] ?? String(uid)
  const known = userNamed(name, files)
  const groups = groupsOf(pid) ?? known?.groups ?? []
  return { name, uid, gid: groups[0] ?? known?.gid ?? uid, groups: groups.length > 0 ? groups : [known?.gid ?? uid] }
}

// The effective group, then the others.
function groupsOf(pid: number): readonly number[] | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const own = /^Gid:\s+\d+\s+(\d+)/m.exec(status)?.[1]
    const more = /^Groups:[ \t]*(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/) ?? []
    return [...new Set([own, ...more].filter((id) => id !== undefined && id !== '').map(Number))]
  } catch {
    return undefined
  }
}
