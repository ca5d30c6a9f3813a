/**
 * What a process costs, as Linux counts it.
 *
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Memory of one process. */
export interface Memory {
  /** Resident set, MB (10^6 bytes). */
  readonly rssMb: number
  /** Proportional set, MB: pages shared with other processes count in part. */
  readonly pssMb: number
  /** Anonymous memory, MB: what no other process can share and no file gives back. */
  readonly anonMb: number
}

// Linux reports CPU time to user space in 1/100 s on every architecture that runs Node.
const TICKS_PER_SECOND = 100

/**
 * Reads how much CPU time a process has used, over all its threads.
 *
 * @returns Seconds, user and system together; a step is 10 ms.
 */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the name in brackets and may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Reads the memory of a process. */
export function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const megabytes = (name: string): number => {
    const kilobytes = Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0)
    return (kilobytes * 1024) / 1e6
  }
  return { rssMb: megabytes('Rss'), pssMb: megabytes('Pss'), anonMb: megabytes('Anonymous') }
}

/** Counts the open files of a process. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}
