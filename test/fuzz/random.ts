/**
 * Random numbers that a seed gives again: for mutants that can be made a second time.
 *
 * @module
 */

/** A stream of numbers from one seed. */
export class Random {
  #state: number

  /**
   * Starts a stream.
   *
   * @param seed Any whole number; its low 32 bits count.
   */
  constructor(seed: number) {
    // Neighbouring seeds shall not give neighbouring streams.
    this.#state = Math.imul((seed | 0) ^ 0x9e3779b9, 0x85ebca6b)
  }

  /**
   * Draws a whole number (splitmix32).
   *
   * @param below Exclusive upper bound, at least 1.
   * @returns From 0 to `below` - 1.
   */
  next(below: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = this.#state ^ (this.#state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below
  }

  /**
   * Draws one of several.
   *
   * @throws {RangeError} There are none.
   */
  pick<T>(items: readonly T[]): T {
    const [first] = items
    const drawn = items[this.next(Math.max(1, items.length))] ?? first
    if (drawn === undefined) throw new RangeError('nothing to pick from')
    return drawn
  }
}
