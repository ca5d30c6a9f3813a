/**
 * Bounds how many nodes are held by `wait_for_attestation`; who comes when all places are taken gets its answer at once.
 *
 * @module
 */

/** Is how many streams are held at a time: a fleet of 5,000 nodes that boots together. */
export const MAX_HELD = 5_000

/** Counts the streams that are held. Outlives a new configuration, as the streams do. */
export class HeldStreams {
  readonly #limit: number
  #held = 0

  /** @param limit Streams held at a time; default 5,000. */
  constructor(limit: number = MAX_HELD) {
    this.#limit = limit
  }

  /**
   * Takes a place.
   *
   * @returns False when none is free; then there is nothing to leave.
   */
  enter(): boolean {
    if (this.#held >= this.#limit) return false
    this.#held += 1
    return true
  }

  /** Gives a place back. */
  leave(): void {
    this.#held -= 1
  }
}
