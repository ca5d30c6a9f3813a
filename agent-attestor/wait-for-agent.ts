/**
 * At boot the SPIRE agent may be up before the Keylime agent: ask again for a while, and say so in the log.
 *
 * @module
 */
import { abortReason, KeylimeError, type KeylimeErrorCode, sleep } from '@tower-of-omens/keylime'
import type { Logger } from '@tower-of-omens/spire-sdk'
import { NotStartedYet } from './node-error.ts'

/** Bound on the waiting. */
export interface WaitOptions {
  /** Milliseconds from the first attempt after which no further one begins; 0: one attempt. */
  readonly waitMs: number
  /** Ends the waiting at once. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** Milliseconds that only grow; default `performance.now`. */
  readonly clock?: () => number
  /** Waits between attempts; default a timer that the signal ends. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

// What a service that is about to start looks like. A wrong certificate does not heal by waiting.
const NOT_UP_YET: ReadonlySet<KeylimeErrorCode> = new Set([
  'KEYLIME_UNREACHABLE',
  'KEYLIME_UNAVAILABLE',
  'KEYLIME_TIMEOUT',
])
const FIRST_PAUSE_MS = 250
const MAX_PAUSE_MS = 2_000
const PROGRESS_EVERY_MS = 10_000

/**
 * Asks until the Keylime agent answers, for as long as its failures look like a service that is not up yet.
 *
 * @param ask One request, itself bounded.
 * @param options Bound, signal, log.
 * @returns What `ask` returns.
 * @throws {KeylimeError} @throws {NotStartedYet} The last failure, with the time waited; another failure at once;
 *   `KEYLIME_CANCELLED`: the signal aborted.
 */
export async function waitForAgent<T>(ask: () => Promise<T>, options: WaitOptions): Promise<T> {
  const { waitMs, signal, log, clock = () => performance.now(), pause = pauseFor } = options
  const began = clock()
  let pauseMs = FIRST_PAUSE_MS
  let toldAt: number | undefined
  for (;;) {
    try {
      const answer = await ask()
      if (toldAt !== undefined) log.info('Keylime agent is up', { waited_ms: Math.round(clock() - began) })
      return answer
    } catch (error) {
      if (!isNotUpYet(error)) throw error
      const waited = clock() - began
      const left = waitMs - waited
      if (left <= 0) throw waitMs === 0 ? error : withWait(error, waited)
      if (toldAt === undefined || clock() - toldAt >= PROGRESS_EVERY_MS) {
        log.warn('Keylime agent is not up yet, asking again', { left_ms: Math.round(left), error: error.message })
        toldAt = clock()
      }
      await pause(Math.min(pauseMs, left), signal)
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
    }
  }
}

function isNotUpYet(error: unknown): error is KeylimeError | NotStartedYet {
  return error instanceof NotStartedYet || (error instanceof KeylimeError && NOT_UP_YET.has(error.code))
}

function withWait(error: KeylimeError | NotStartedYet, waited: number): Error {
  const waiting = `; waited ${Math.round(waited / 1000)} s for it (wait_for_agent)`
  if (error instanceof KeylimeError) {
    return new KeylimeError(error.code, error.message + waiting, { cause: error, facts: error.facts })
  }
  return new NotStartedYet('KL-NODE-KEY-FILE', error.reasons[0].message + waiting, error)
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  const gaveUp = 'spire agent gave up while the keylime agent was not up'
  return sleep(ms, signal, () => new KeylimeError('KEYLIME_CANCELLED', gaveUp, { cause: abortReason(signal) }))
}
