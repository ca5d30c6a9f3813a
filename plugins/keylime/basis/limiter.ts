/**
 * The bound on how many do something at a time; the rest waits in order, each with its own way out.
 *
 * @module
 */
import type { KeylimeError } from './errors.ts'
import { newFailure } from './failures.ts'
import { abortReason } from './signals.ts'

/** How many may wait for one service unless said otherwise: four storms of 5,000 nodes. */
export const DEFAULT_MAX_WAITING = 20_000

/** Who is under way and who waits. */
export interface LimiterCounts {
  readonly active: number
  readonly waiting: number
}

/** One who waits. */
export interface Turn {
  /** Called when a place is ours; it is given back by {@link Limiter.leave}. */
  begin(): void
  /** Called when nobody may wait any more, with what to fail with. */
  sendAway(error: unknown): void
}

/** A fixed number of places, first come first served. One per service: a slow one delays nobody else's. */
export class Limiter {
  readonly #places: number
  readonly #maxWaiting: number
  readonly #waiting = new Set<Turn>()
  #active = 0

  /**
   * @param places How many at a time; 0 lets nobody in.
   * @param maxWaiting How many may wait; 0: who finds no place goes on without.
   */
  constructor(places: number, maxWaiting: number = DEFAULT_MAX_WAITING) {
    this.#places = places
    this.#maxWaiting = maxWaiting
  }

  /** Counts now. */
  get counts(): LimiterCounts {
    return { active: this.#active, waiting: this.#waiting.size }
  }

  /**
   * Takes a place without waiting.
   *
   * @returns False when none is free; then there is nothing to leave.
   */
  enter(): boolean {
    if (this.#active >= this.#places) return false
    this.#active += 1
    return true
  }

  /** Gives a place back; the one who has waited longest takes it over. */
  leave(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#active -= 1
      return
    }
    this.#waiting.delete(next)
    next.begin()
  }

  /**
   * Takes a place at once, or waits for one.
   *
   * @param turn Told, later, when the place is ours; never when `entered` is returned.
   * @returns `entered`: the place is taken. `full`: no place, and too many wait. A function: leaves the queue.
   */
  queue(turn: Turn): 'entered' | 'full' | (() => void) {
    if (this.enter()) return 'entered'
    if (this.#waiting.size >= this.#maxWaiting) return 'full'
    this.#waiting.add(turn)
    return () => this.#waiting.delete(turn)
  }

  /**
   * Runs a task when its turn has come.
   *
   * @param signal Takes a waiting task out of the queue; a running one has to look at it itself.
   * @param task What to run.
   * @returns What the task returns.
   * @throws {KeylimeError} Of reason `queue-full`: too many wait. Also the signal's reason, and whatever the task throws.
   */
  async run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    await this.#turnOf(signal)
    try {
      return await task()
    } finally {
      this.leave()
    }
  }

  /**
   * Sends away everybody who waits.
   *
   * @param error What each of them fails with.
   */
  release(error: unknown): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const turn of waiting) turn.sendAway(error)
  }

  #turnOf(signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) throw abortReason(signal)
    if (this.enter()) return undefined
    if (this.#waiting.size >= this.#maxWaiting) throw queueFull(this.#maxWaiting)
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        signal.removeEventListener('abort', abort)
        end()
      }
      const turn: Turn = { begin: () => settle(resolve), sendAway: (error) => settle(() => reject(error)) }
      const abort = (): void => {
        this.#waiting.delete(turn)
        reject(abortReason(signal))
      }
      this.#waiting.add(turn)
      signal.addEventListener('abort', abort, { once: true })
    })
  }
}

/**
 * Makes the failure of one who finds too many waiting.
 *
 * @param limit How many may wait.
 * @returns The error, not thrown.
 */
export function queueFull(limit: number): KeylimeError {
  return newFailure('queue-full', `more than ${limit} requests are waiting`, { facts: { limit } })
}
