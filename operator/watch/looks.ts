/**
 * Looking at one host until its record says what the bell meant.
 *
 * The verifier rings before it writes the record, and with other notifiers than the webhook it may write it a minute
 * later. So a record that contradicts the bell is read again, until it moves or a success newer than the bell is in it.
 *
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `process_agent`: notified first, stored then
 * @module
 */
import type { AgentId } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'

/** What a look needs. */
export interface LookParts {
  /** Reads the record; undefined: no verifier knows the agent. */
  readonly read: (agentId: AgentId) => Promise<AgentRecord | undefined>
  /** Acts on a record; true: it gives reason to cut the host off, so the look is over. */
  readonly judge: (agentId: AgentId, record: AgentRecord | undefined) => boolean
  /** Sleeps; false: the daemon ends. */
  readonly sleep: (ms: number) => Promise<boolean>
  /** Told how a look ended. */
  readonly ended: (agentId: AgentId, how: LookEnd, ms: number) => void
}

/** How a look ended. */
export type LookEnd = 'cut' | 'newer_success' | 'gave_up' | 'stopped'

/** Pauses between reads; after the last one each second. */
const PAUSES_MS = [50, 100, 200, 400, 800]
const LONG_PAUSE_MS = 1_000
/** A record that has not moved by then does not move: the verifier's own limit for its notifiers is a minute. */
export const LOOK_LIMIT_MS = 65_000
/** Hosts looked at at a time; the queue holds as many as there are hosts. */
const MOST_LOOKS = 1_000

/** The looks under way, at most one a host. */
export class Looks {
  readonly #parts: LookParts
  readonly #under = new Map<AgentId, { again: boolean }>()
  readonly #clock: () => number

  /**
   * @param parts What a look needs.
   * @param clock Milliseconds, only forward.
   */
  constructor(parts: LookParts, clock: () => number = () => performance.now()) {
    this.#parts = parts
    this.#clock = clock
  }

  /** How many hosts are looked at. */
  get size(): number {
    return this.#under.size
  }

  /**
   * Tells whether a host is looked at.
   *
   * @param agentId Which.
   * @returns True while it is.
   */
  has(agentId: AgentId): boolean {
    return this.#under.has(agentId)
  }

  /**
   * Begins to look at a host; a second ring while it is looked at makes the look begin anew.
   *
   * @param agentId Which.
   * @returns False: too many are looked at already.
   */
  begin(agentId: AgentId): boolean {
    const under = this.#under.get(agentId)
    if (under !== undefined) {
      under.again = true
      return true
    }
    if (this.#under.size >= MOST_LOOKS) return false
    void this.#look(agentId)
    return true
  }

  async #look(agentId: AgentId): Promise<void> {
    const under = { again: false }
    this.#under.set(agentId, under)
    let began = this.#clock()
    let how: LookEnd = 'gave_up'
    let since: number | undefined
    for (let tries = 0; this.#clock() - began <= LOOK_LIMIT_MS; tries += 1) {
      if (under.again) {
        under.again = false
        began = this.#clock()
        since = undefined
        tries = 0
      }
      const record = await this.#read(agentId)
      if (record !== 'failed') {
        if (this.#parts.judge(agentId, record)) {
          how = 'cut'
          break
        }
        since ??= record?.receivedAt
        if (isNewer(record, since)) {
          how = 'newer_success'
          break
        }
      }
      if (!(await this.#parts.sleep(PAUSES_MS[tries] ?? LONG_PAUSE_MS))) {
        how = 'stopped'
        break
      }
    }
    this.#under.delete(agentId)
    this.#parts.ended(agentId, how, this.#clock() - began)
    if (under.again && how !== 'stopped') this.begin(agentId)
  }

  async #read(agentId: AgentId): Promise<AgentRecord | undefined | 'failed'> {
    try {
      return await this.#parts.read(agentId)
    } catch {
      // A verifier that does not answer is asked again; its failure is seen by the rounds.
      return 'failed'
    }
  }
}

// By the verifier's own clock, which counts whole seconds.
function isNewer(record: AgentRecord | undefined, since: number | undefined): boolean {
  const last = record?.lastSuccessfulAttestation
  return last !== undefined && since !== undefined && last > since
}
