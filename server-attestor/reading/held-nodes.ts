/**
 * Which nodes are held by `wait_for_attestation`; who finds no place gets its answer at once.
 *
 * @module
 */
import type { AgentId } from '@tower-of-omens/keylime'
import { Limiter } from '@tower-of-omens/keylime'

/** How many streams are held at a time: a fleet of 5,000 nodes that boots together. */
const MAX_HELD = 5_000
/** How many of them for one ID: a SPIRE agent has one, and a broken connection leaves another for a moment. */
const MAX_HELD_PER_ID = 4

/** The streams that are held. Outlives a configuration, as the streams do. */
export class HeldNodes {
  readonly #places: Limiter
  readonly #byId = new Map<AgentId, number>()

  /** @param limit Streams held at a time; default 5,000. */
  constructor(limit: number = MAX_HELD) {
    this.#places = new Limiter(limit, 0)
  }

  /**
   * Takes a place.
   *
   * @param agentId Whose stream.
   * @returns False when none is free, or this ID has its share; then there is nothing to leave.
   */
  enter(agentId: AgentId): boolean {
    const held = this.#byId.get(agentId) ?? 0
    if (held >= MAX_HELD_PER_ID || !this.#places.enter()) return false
    this.#byId.set(agentId, held + 1)
    return true
  }

  /**
   * Gives a place back.
   *
   * @param agentId Whose stream.
   */
  leave(agentId: AgentId): void {
    const held = this.#byId.get(agentId) ?? 0
    if (held > 1) this.#byId.set(agentId, held - 1)
    else this.#byId.delete(agentId)
    this.#places.leave()
  }
}
