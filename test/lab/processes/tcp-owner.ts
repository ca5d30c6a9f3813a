/**
 * Which process of this machine holds the other end of a local TCP connection, by /proc.
 *
 * @see proc(5), /proc/net/tcp and /proc/pid/fd
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { startTimeOf } from './process-group.ts'

/** A process, told apart from a later one of the same pid. */
export interface Owner {
  readonly pid: number
  readonly startTime: string
}

/** Finds owners, and looks first at the processes it found before: a client connects anew for every command. */
export class TcpOwners {
  readonly #known = new Map<string, Owner>()

  /**
   * Finds who holds the end with these ports.
   *
   * @param localPort Port of the end that is looked for.
   * @returns Always the same object for the same process; `undefined` when it is gone or not ours to see.
   */
  find(localPort: number, remotePort: number): Owner | undefined {
    const inode = inodeOf(localPort, remotePort)
    if (inode === undefined) return undefined
    for (const [key, owner] of this.#known) {
      if (!isAlive(owner)) this.#known.delete(key)
      else if (holds(owner.pid, inode)) return owner
    }
    const pid = pids().find((candidate) => holds(candidate, inode))
    const startTime = pid === undefined ? undefined : startTimeOf(pid)
    if (pid === undefined || startTime === undefined) return undefined
    const owner = { pid, startTime }
    this.#known.set(`${pid}/${startTime}`, owner)
    return owner
  }
}

/** Tells whether a process still runs. */
export function isAlive(owner: Owner): boolean {
  return startTimeOf(owner.pid) === owner.startTime
}

/** Youngest first: who connects has often just begun. */
function pids(): readonly number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .toSorted((one, other) => other - one)
}

function holds(pid: number, inode: string): boolean {
  const wanted = `socket:[${inode}]`
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === wanted)
  } catch {
    // It has just ended, or belongs to somebody else.
    return false
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

function inodeOf(localPort: number, remotePort: number): string | undefined {
  const table = readFileSync('/proc/net/tcp', 'latin1')
  // Columns: address and port of both ends, state, queues, timer, retransmissions, user, timeout, inode.
  const ends = new RegExp(`:${hex(localPort)} \\w+:${hex(remotePort)} (?:\\S+ +){6}(\\d+)`)
  return ends.exec(table)?.[1]
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0')
}
