/**
 * Waiting for a condition with a deadline: the rig never sleeps in the hope that something is ready.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { RigError, reasonOf } from './errors.ts'

/** How long to ask, how often, and what makes asking pointless. */
export interface PollOptions {
  /** Milliseconds until giving up; default 30,000. */
  readonly deadlineMs?: number
  /** Milliseconds between two questions; default 100. */
  readonly intervalMs?: number
  /** Log file to name when the deadline passes. */
  readonly logFile?: string
  /** Throws when waiting longer is pointless, for instance because the process asked has ended. */
  readonly abort?: () => void
}

/**
 * Asks until the answer is neither `undefined` nor `false`; an exception counts as "not yet".
 *
 * @param what What is awaited, as it reads after "gave up waiting for".
 * @param ask One question; should itself return within a second or two.
 * @param options Deadline, interval, log file, reason to stop early.
 * @returns The first answer that counts.
 * @throws {RigError} The deadline passed: the message repeats the last reason.
 */
export async function pollUntil<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  options: PollOptions = {},
): Promise<T> {
  const deadlineMs = options.deadlineMs ?? 30_000
  const end = performance.now() + deadlineMs
  let last = 'no answer yet'
  for (;;) {
    options.abort?.()
    try {
      const answer = await ask()
      if (answer !== undefined && answer !== false) return answer
      last = 'not yet so'
    } catch (error) {
      last = reasonOf(error)
    }
    if (performance.now() >= end) break
    await delay(options.intervalMs ?? 100)
  }
  options.abort?.()
  throw new RigError(`gave up waiting for ${what} after ${Math.round(deadlineMs / 1000)} s: ${last}`, {
    logFile: options.logFile,
  })
}
