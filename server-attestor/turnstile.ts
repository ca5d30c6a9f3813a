/**
 * Bounds how much is asked of one Keylime service at a time; the rest waits in order until its own signal ends.
 *
 * @module
 */
import { abortReason } from './deadline.ts'
import { refusal } from './refusal.ts'

/** Is how many attestations may wait for one service: four storms of 5,000 nodes. */
export const MAX_WAITING = 20_000

/** Lets a fixed number of tasks run at a time, first come first served. */
export class Turnstile {
  readonly #limit: number
  readonly #maxWaiting: number
  readonly #waiting = new Set<() => void>()
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
      const abort = (): void => {
        this.#waiting.delete(enter)
        reject(abortReason(signal))
      }
      this.#waiting.add(enter)
      signal.addEventListener('abort', abort, { once: true })
    })
  }

  // A task that leaves hands its place to the one that has waited longest.
  #leave(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next)
      next()
      return
    }
    this.#running -= 1
  }
}
