/**
 * Bounds how many requests one service gets at a time; the rest wait in order, each with its own way out.
 *
 * @module
 */

/** Counts requests under way and waiting. */
export interface SlotCounts {
  readonly active: number
  readonly waiting: number
}

/** Hands out a fixed number of slots, first come first served. One per service: a slow one delays nobody else's. */
export class RequestSlots {
  readonly #slots: number
  readonly #maxWaiting: number
  readonly #waiting = new Set<() => void>()
  #active = 0

  /**
   * @param slots Requests at a time, at least 1.
   * @param maxWaiting Requests that may wait.
   */
  constructor(slots: number, maxWaiting: number) {
    this.#slots = slots
    this.#maxWaiting = maxWaiting
  }

  /** Counts now. */
  get counts(): SlotCounts {
    return { active: this.#active, waiting: this.#waiting.size }
  }

  /**
   * Takes a slot at once, or queues for one.
   *
   * @param granted Called, later, when the slot is ours; never when `true` is returned.
   * @returns `true`: the slot is taken. `'full'`: no slot and no place in the queue. A function: leaves the queue.
   */
  take(granted: () => void): true | 'full' | (() => void) {
    if (this.#active < this.#slots) {
      this.#active += 1
      return true
    }
    if (this.#waiting.size >= this.#maxWaiting) return 'full'
    const entry = (): void => granted()
    this.#waiting.add(entry)
    return () => this.#waiting.delete(entry)
  }

  /** Gives a slot back; the longest waiting takes it over. */
  release(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#active -= 1
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
