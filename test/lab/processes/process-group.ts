/**
 * Process groups by /proc: who is alive in one, and how to end it without touching anything else.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** One process group the rig started: the leader's pid, and its start time, which tells a reused pid apart. */
export interface GroupRecord {
  readonly name: string
  readonly pid: number
  readonly startTime: string
  readonly told: Told
  /** Files outside the rig's folder that it leaves behind when it is killed. */
  readonly leftovers: readonly string[]
}

/**
 * Who gets SIGTERM: the leader, which then ends its own children; those that run the leader's program; or all.
 */
export type Told = 'leader' | 'same program' | 'all'

interface ProcessStat {
  readonly pid: number
  readonly state: string
  readonly group: number
  readonly startTime: string
}

/**
 * Reads when a process started.
 *
 * @returns Clock ticks since boot as text, or `undefined` when there is no such process.
 * @see proc(5), /proc/pid/stat field 22
 */
export function startTimeOf(pid: number): string | undefined {
  return statOf(pid)?.startTime
}

/** Lists the living processes of a group; zombies do not count. */
export function membersOf(group: number): readonly number[] {
  const members: number[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = statOf(Number(entry))
    if (stat?.group === group && stat.state !== 'Z' && stat.state !== 'X') members.push(stat.pid)
  }
  return members
}

/** Variable that every process of a rig carries: the rig's work folder. */
export const RIG_VARIABLE = 'TOWER_OF_OMENS_RIG'

/** Lists the living processes of one rig by what they carry in their environment. */
export function processesOfRig(folder: string): readonly number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
        return environment.includes(`${RIG_VARIABLE}=${folder}`) && statOf(pid)?.state !== 'Z'
      } catch {
        return false
      }
    })
}

/**
 * Ends a group: SIGTERM, then SIGKILL to what is left after the grace.
 *
 * @param group The group, as recorded when it was started.
 * @param graceMs Milliseconds between the two signals.
 * @returns Whether it ended on SIGTERM (or was gone already).
 */
export async function endGroup(group: GroupRecord, graceMs = 8_000): Promise<boolean> {
  const leaderStart = startTimeOf(group.pid)
  if (leaderStart !== undefined && leaderStart !== group.startTime) return true
  if (membersOf(group.pid).length === 0) return true
  const leaderAlive = leaderStart === group.startTime
  for (const target of leaderAlive ? targetsOf(group) : [-group.pid]) signal(target, 'SIGTERM')
  const orderly = await emptyWithin(group.pid, graceMs)
  if (!orderly) {
    signal(-group.pid, 'SIGKILL')
    await emptyWithin(group.pid, 5_000)
  }
  for (const file of group.leftovers) rmSync(file, { force: true })
  return orderly
}

function targetsOf({ pid, told }: GroupRecord): readonly number[] {
  if (told === 'all') return [-pid]
  const program = programOf(pid)
  return told === 'leader' ? [pid] : membersOf(pid).filter((member) => programOf(member) === program)
}

function programOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`)
  } catch {
    return undefined
  }
}

async function emptyWithin(group: number, ms: number): Promise<boolean> {
  const end = performance.now() + ms
  while (membersOf(group).length > 0) {
    if (performance.now() >= end) return false
    await delay(25)
  }
  return true
}

function signal(target: number, name: NodeJS.Signals): void {
  try {
    process.kill(target, name)
  } catch {
    // Gone between the look and the signal.
  }
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command name stands in parentheses and may hold anything, so count from the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { pid, state: fields[0] ?? '', group: Number(fields[2]), startTime: fields[19] ?? '' }
  } catch {
    return undefined
  }
}
