/**
 * The rig's watchdog, a process of its own: when the pipe from its owner closes, it ends what the owner left running.
 * That way a killed test run or a closed terminal leaves no process behind either.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { endGroup, type GroupRecord, processesOfRig } from './process-group.ts'

/** What the owner tells its keeper, one JSON object a line. */
export type KeeperMessage =
  | { readonly op: 'add'; readonly group: GroupRecord }
  | { readonly op: 'remove'; readonly pid: number }
  | { readonly op: 'folder'; readonly path: string }
  /** A command to run after the processes have ended. */
  | { readonly op: 'afterwards'; readonly command: readonly [string, ...string[]] }
  | { readonly op: 'keep' }

/** Shorter than the owner's own: whoever was killed is not waiting for a tidy end. */
const GRACE_MS = 4_000

async function main(): Promise<void> {
  for (const name of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(name, () => {})
  const groups = new Map<number, GroupRecord>()
  const afterwards: (readonly [string, ...string[]])[] = []
  let folder: string | undefined
  let keep = false
  for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line) as KeeperMessage
    if (message.op === 'add') groups.set(message.group.pid, message.group)
    else if (message.op === 'remove') groups.delete(message.pid)
    else if (message.op === 'folder') folder = message.path
    else if (message.op === 'afterwards') afterwards.push(message.command)
    else keep = true
  }
  if (keep) return
  for (const group of [...groups.values()].toReversed()) await endGroup(group, GRACE_MS)
  for (const [command, ...args] of afterwards) spawnSync(command, args, { stdio: 'inherit' })
  if (folder === undefined) return
  await endUntold(folder)
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}

/** Ends what the owner had started and, killed at that moment, did not live to tell of. */
async function endUntold(folder: string): Promise<void> {
  for (let quiet = 0; quiet < 3; quiet += 1) {
    await delay(200)
    for (const pid of processesOfRig(folder)) {
      killIfThere(pid)
      quiet = 0
    }
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}

await main()
