/**
 * Looks at the whole fleet, shared by all who ask for one.
 *
 * @module
 */
import type { Fleet } from '../fleet.ts'

/** A look at everything. */
export interface FleetLook {
  /** When the last answer had come. */
  readonly at: Date
  readonly fleet: Fleet
}

/** The newest look, and the one under way: never two at once, however many ask. */
export class FleetLooks {
  readonly #look: () => Promise<Fleet>
  readonly #clock: () => number
  #newest: { readonly began: number; readonly look: FleetLook } | undefined
  #running: Promise<void> | undefined

  /**
   * @param look Asks every source about everything.
   * @param clock Milliseconds, only forward.
   */
  constructor(look: () => Promise<Fleet>, clock: () => number = () => performance.now()) {
    this.#look = look
    this.#clock = clock
  }

  /**
   * Gives a look that began at most so long before it is asked for.
   *
   * @param ageMs Zero: it begins after the question, so whatever happened before the question is in it.
   * @returns The look.
   * @throws Whatever the look throws that this question began.
   */
  async atMost(ageMs: number): Promise<FleetLook> {
    const oldest = this.#clock() - ageMs
    for (;;) {
      if (this.#newest !== undefined && this.#newest.began >= oldest) return this.#newest.look
      if (this.#running === undefined) return await this.#begin()
      await this.#running
    }
  }

  async #begin(): Promise<FleetLook> {
    const began = this.#clock()
    const asked = this.#look()
    this.#running = asked.then(
      () => undefined,
      // Told to the question that began it; the others begin one of their own.
      () => undefined,
    )
    try {
      const fleet = await asked
      const look = { at: new Date(), fleet }
      this.#newest = { began, look }
      return look
    } finally {
      this.#running = undefined
    }
  }
}
