/**
 * Registrar records of nodes that were admitted, for a while: what a stranger has registered is not among them.
 *
 * @module
 */
import type { AgentId } from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'

/** How many are kept, with their parsed keys: two fleets of 5,000 nodes. */
const MAX_RECORDS = 10_000
/** What their bytes may come to; a usual record has 1.5 KiB. */
const MAX_BYTES = 32 * 1024 * 1024
/** How long one is kept that no admission renews. SPIRE's defaults bring a node back after 30 minutes. */
export const KEPT_MS = 7_200_000

interface Kept {
  readonly record: RegistrarRecord
  readonly bytes: number
  readonly at: number
}

/** Records by agent, the one admitted longest ago first. */
export class KeptRecords {
  readonly #kept = new Map<AgentId, Kept>()
  readonly #maxBytes: number
  #bytes = 0

  /** @param maxBytes Default 32 MiB. */
  constructor(maxBytes: number = MAX_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** Counts the records. */
  get size(): number {
    return this.#kept.size
  }

  /** Counts their bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Finds an agent's record.
   *
   * @param agentId Whose.
   * @param now Milliseconds of the clock that records are kept by.
   * @returns The record; undefined when there is none, or it has been kept too long.
   */
  get(agentId: AgentId, now: number): RegistrarRecord | undefined {
    const kept = this.#kept.get(agentId)
    if (kept === undefined || now - kept.at < KEPT_MS) return kept?.record
    this.#drop(agentId)
    return undefined
  }

  /**
   * Keeps an admitted node's record; those admitted longest ago leave when there are too many, or they are too large.
   *
   * @param record The record.
   * @param now Milliseconds.
   */
  keep(record: RegistrarRecord, now: number): void {
    const { agentId, akTpm, ekTpm, ekCert } = record
    this.#drop(agentId)
    const bytes = akTpm.length + ekTpm.length + (ekCert?.length ?? 0)
    this.#kept.set(agentId, { record, bytes, at: now })
    this.#bytes += bytes
    for (const [oldest, { at }] of this.#kept) {
      if (this.#kept.size <= MAX_RECORDS && this.#bytes <= this.#maxBytes && now - at < KEPT_MS) return
      this.#drop(oldest)
    }
  }

  #drop(agentId: AgentId): void {
    this.#bytes -= this.#kept.get(agentId)?.bytes ?? 0
    this.#kept.delete(agentId)
  }
}
