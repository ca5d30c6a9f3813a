/**
 * Bounds how much is asked of one Keylime service at a time; the rest waits in order until its own signal ends.
 *
 * @module
 */

import { refusal } from '@tower-of-omens/gate'
import { abortReason } from '@tower-of-omens/keylime'

/** Is how many attestations may wait for one service: four storms of 5,000 nodes. */
export const MAX_WAITING = 20_000

/** Lets a fixed number of tasks run at a time, first come first served. */
export class Turnstile {
  readonly #limit: number
  readonly #maxWaiting: number
  /** What lets a task in, to what sends it away. */
  readonly #waiting = new Map<() => void, (error: unknown) => void>()
  #running = 0

  /**
   * @param limit Tasks at a time, at least 1.
   * @param maxWaiting Tasks that may wait.
   */
  constructor(limit: number, maxWaiting: number = MAX_WAITING) {
    this.#limit = limit
    this.#maxWaiting = maxWaiting
  }

  /** Counts tasks that wait. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Runs a task when its turn has come.
   *
   * @param signal Takes a waiting task out of the queue; a running one has to look at it itself.
   * @param task What to run.
   * @returns What the task returns.
   * @throws {Refusal} `KL-BUSY`: too many wait. Also the signal's reason, and whatever the task throws.
   */
  async run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    await this.#enter(signal)
    try {
      return await task()
    } finally {
      this.#leave()
    }
  }

  /**
   * Sends away every task that waits.
   *
   * @param error What each of them fails with.
   */
  release(error: unknown): void {
    for (const sendAway of this.#waiting.values()) sendAway(error)
  }

  #enter(signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) throw abortReason(signal)
    if (this.#running < this.#limit) {
      this.#running += 1
      return undefined
    }
    if (this.#waiting.size >= this.#maxWaiting) throw refusal('KL-BUSY', { limit: this.#maxWaiting })
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', abort)
        resolve()
      }
      const sendAway = (error: unknown): void => {
        signal.removeEventListener('abort', abort)
        this.#waiting.delete(enter)
        reject(error)
      }
      const abort = (): void => sendAway(abortReason(signal))
      this.#waiting.set(enter, sendAway)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  // A task that leaves hands its place to the one that has waited longest.
  #leave(): void {
    for (const next of this.#waiting.keys()) {
      this.#waiting.delete(next)
      next()
      return
    }
    this.#running -= 1
  }
}
