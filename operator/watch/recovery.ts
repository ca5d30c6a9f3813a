/**
 * Recovery without a person: the verifier begins anew with hosts that it gave up while they were away, as after a reboot
 * that took longer than all its retries. Off unless configured.
 *
 * Never for a host that failed its measurements, that may still be polled, or that somebody banned.
 *
 * @module
 */
import type { AgentId, Log } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { type Recoverable, recoveryOf } from '../act/recovering.ts'
import { isBanned, type WatchedHost } from './hosts.ts'
import type { Telling } from './telling.ts'

/** What recovery needs. */
export interface RecoveryParts {
  /** Has the verifier begin anew with a host. */
  readonly reactivate: (agentId: AgentId) => Promise<void>
  /** Looks at the certificate that a host's Keylime agent presents now. */
  readonly certificateOf: (record: AgentRecord) => Promise<Recoverable['certificate']>
  /** Seconds in which the verifier gives a host up. */
  readonly budgetSeconds: number
  readonly telling: Pick<Telling, 'host'>
  readonly log: Pick<Log, 'info' | 'warn'>
  /** Sleeps; false: the daemon ends. */
  readonly sleep: (ms: number) => Promise<boolean>
}

/** Reactivations begin this long apart, so that a whole fleet does not ask at once. */
const APART_MS = 50
/** A host that fails again after it was brought back waits this long, and twice as long each time. */
const FIRST_WAIT_MS = 60_000
const LONGEST_WAIT_MS = 3_600_000

/** Tries at a host since it passed last. */
interface Tries {
  readonly waitMs: number
  readonly notBefore: number
  /** Its last success when it was tried: a host that was brought back looks well until the first quote fails. */
  readonly lastSuccess: number
}

/** The one who brings hosts back. */
export class Recovery {
  readonly #parts: RecoveryParts
  readonly #clock: () => number
  readonly #tries = new Map<AgentId, Tries>()
  #isRunning = false

  /**
   * @param parts What it needs.
   * @param clock Milliseconds, only forward.
   */
  constructor(parts: RecoveryParts, clock: () => number = () => performance.now()) {
    this.#parts = parts
    this.#clock = clock
  }

  /**
   * Brings back what may be brought back; while it is at it, further calls do nothing.
   *
   * @param hosts Every host, after a round.
   */
  async consider(hosts: readonly WatchedHost[]): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      for (const host of hosts) if (!(await this.#considerOne(host))) break
    } finally {
      this.#isRunning = false
    }
  }

  /** Returns false when the daemon ends. */
  async #considerOne(host: WatchedHost): Promise<boolean> {
    const { agentId, record, keylime, latch } = host
    if (record === undefined || latch !== undefined || isBanned(host)) return true
    const lastSuccess = record.lastSuccessfulAttestation ?? 0
    if (lastSuccess > (this.#tries.get(agentId)?.lastSuccess ?? lastSuccess)) this.#tries.delete(agentId)
    const tried = this.#tries.get(agentId)
    if (keylime.cause !== 'absent' || this.#clock() < (tried?.notBefore ?? 0)) return true
    const rules = { budgetSeconds: this.#parts.budgetSeconds, reason: 'reboot' } as const
    const seen = { name: agentId, record: { value: record } }
    // By the record alone first: nobody is dialled who would not be brought back.
    if (recoveryOf({ ...seen, certificate: 'unasked' }, rules).kind !== 'reactivate') return true
    const certificate = await this.#parts.certificateOf(record)
    const recovery = recoveryOf({ ...seen, certificate }, rules)
    if (recovery.kind !== 'reactivate') return true
    const waitMs = Math.min(LONGEST_WAIT_MS, (tried?.waitMs ?? FIRST_WAIT_MS / 2) * 2)
    this.#tries.set(agentId, { waitMs, notBefore: this.#clock() + waitMs, lastSuccess })
    await this.#bringBack(agentId, recovery.awaySeconds)
    return this.#parts.sleep(APART_MS)
  }

  async #bringBack(agentId: AgentId, awaySeconds: number | null): Promise<void> {
    const { reactivate, telling, log } = this.#parts
    try {
      await reactivate(agentId)
      log.info('the verifier begins anew with a host', { agent_id: agentId, away_seconds: awaySeconds ?? 'unknown' })
      telling.host('recovered', agentId, { action: 'reactivate', outcome: 'the verifier polls it again' })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      log.warn('a host could not be brought back', { agent_id: agentId, error: message })
      telling.host('not_recovered', agentId, { action: 'reactivate', message })
    }
  }
}
