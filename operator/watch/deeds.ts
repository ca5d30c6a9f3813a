/**
 * The deeds of a watch: what was decided is carried out, verified, and told.
 *
 * @module
 */
import type { AgentId, Log } from '@tower-of-omens/keylime'
import { parseAgentId } from '@tower-of-omens/keylime'
import type { SpireConnection } from '@tower-of-omens/spire-api'
import { type Finding, finding } from '../findings/finding.ts'
import { Actor, type CutOff } from './act.ts'
import type { SpireView } from './decide.ts'
import { isBanned, type WatchedHost } from './hosts.ts'
import type { WatchMetrics } from './metrics.ts'
import type { Telling } from './telling.ts'
import type { Decision, Watcher } from './watcher.ts'

/** What deeds need. */
export interface DeedParts {
  readonly spire: readonly SpireConnection[]
  /** Beginning of the agents' SPIFFE IDs. */
  readonly prefix: string
  readonly watcher: Watcher
  readonly metrics: WatchMetrics
  readonly telling: Telling
  readonly log: Log
  /** Asks Keylime anew whether it refuses a host; undefined: it could not be asked. */
  readonly isRefused: (agentId: AgentId) => Promise<boolean | undefined>
  /** Sleeps; false: the daemon ends. */
  readonly sleep: (ms: number) => Promise<boolean>
  /** Called when something changed that the page shows. */
  readonly changed: () => void
}

/** How long a returned agent stays a finding. */
const RETURNED_FOR_MS = 600_000

/** The hands of the daemon. */
export class Deeds {
  readonly #parts: DeedParts
  readonly #actor: Actor
  /** What was said of a host last, so that it is said once. */
  readonly #said = new Map<AgentId, string>()
  readonly #returned = new Map<AgentId, number>()
  readonly #failures = new Map<string, string>()

  /** @param parts What they need. */
  constructor(parts: DeedParts) {
    this.#parts = parts
    this.#actor = new Actor(
      parts.spire,
      {
        tried: (cutOff, server, view, failure) => this.#tried(cutOff, server, view, failure),
        confirmed: (cutOff) => this.#staged(cutOff, 'gone'),
        returned: (cutOff, server) => this.#cameBack(cutOff, server),
      },
      parts.sleep,
    )
  }

  /** How many cut-offs wait for a server. */
  get pending(): number {
    return this.#actor.pending
  }

  /** What is wrong with the deeds: those that a server has not done, and agents that came back. */
  get findings(): readonly Finding[] {
    const now = performance.now()
    const pending = [...this.#failures].flatMap(([subject, message]) =>
      this.#actor.isPendingAt(subject) ? [finding('TK-WATCH-PENDING', { subject, message })] : [],
    )
    const returned = [...this.#returned].flatMap(([subject, at]) =>
      now - at > RETURNED_FOR_MS
        ? []
        : [finding('TK-WATCH-RETURNED', { subject, message: 'attested again after its ban, and banned again' })],
    )
    return [...pending, ...returned]
  }

  /** Forgets what was said: under new rules it is said anew. */
  sayAnew(): void {
    this.#said.clear()
  }

  /** Forgets what was said of hosts that are well again or gone: when one fails anew, that is news. */
  forgetHealed(): void {
    for (const agentId of this.#said.keys()) {
      const { cause } = this.#parts.watcher.hosts.find(agentId)?.keylime ?? { cause: 'none' }
      if (cause === 'none') this.#said.delete(agentId)
    }
  }

  /**
   * Carries a decision out, or in mode `observe` says what it would have been.
   *
   * @param decision Host, action and reason.
   */
  decided({ host, action, cause, code, message, noticedAt }: Decision): void {
    const { watcher, metrics, telling, log, isRefused } = this.#parts
    const { agentId } = host
    const { mode } = watcher
    const said = `${action} ${cause} ${code}`
    if (this.#said.get(agentId) !== said) {
      const facts = { action, cause, code, message, mode }
      log.warn(mode === 'observe' ? `would ${action} a host` : `${action}s a host`, { agent_id: agentId, ...facts })
      telling.host(mode === 'observe' ? 'would' : 'decided', agentId, facts)
      metrics.stage('noticed', (performance.now() - noticedAt) / 1000)
    }
    this.#said.set(agentId, said)
    if (mode === 'observe') return
    void this.#actor.cut({
      spiffeId: this.#spiffeId(agentId),
      action,
      isStillMeant: () => watcher.isStillMeant(host, action),
      askAgain: () => isRefused(agentId),
    })
  }

  /**
   * Cuts a host off because a person says so.
   *
   * @param host Which.
   * @param reason Why.
   * @returns `pending`: a server has not answered, and is tried until it does. `unknown`: no server knows the agent, so
   *   that nothing is banned.
   */
  async revoke(host: WatchedHost, reason: string): Promise<'banned' | 'pending' | 'unknown'> {
    const spiffeId = this.#spiffeId(host.agentId)
    host.latch = { since: host.record?.receivedAt ?? Date.now() / 1000, reason }
    this.#parts.telling.host('revoked', host.agentId, { message: reason })
    await this.#actor.cut({
      spiffeId,
      action: 'ban',
      isOrdered: true,
      isStillMeant: () => host.latch !== undefined,
      askAgain: async () => host.latch !== undefined,
    })
    if (this.#actor.isPending(spiffeId)) return 'pending'
    if (isBanned(host)) return 'banned'
    host.latch = undefined
    return 'unknown'
  }

  /**
   * Notes that a person has lifted a ban.
   *
   * @param agentId The host.
   */
  restored(agentId: AgentId): void {
    this.#parts.telling.host('restored', agentId, { outcome: 'the ban is lifted' })
  }

  #tried(cutOff: CutOff, server: string, view: SpireView, failure: string | undefined): void {
    const agentId = this.#agentId(cutOff.spiffeId)
    const host = this.#parts.watcher.hosts.find(agentId)
    if (host === undefined) return
    if (failure === undefined) {
      this.#failures.delete(server)
      this.#done(host, cutOff, server, view)
      return
    }
    if (this.#failures.get(server) !== failure)
      this.#parts.log.error('a cut-off is not done yet', { agent_id: agentId, server, error: failure })
    this.#failures.set(server, failure)
  }

  #done(host: WatchedHost, cutOff: CutOff, server: string, view: SpireView): void {
    const { watcher, metrics, telling, log, changed } = this.#parts
    const { agentId, keylime, noticedAt } = host
    const { action } = cutOff
    if (action === 'evict' && view === 'banned') {
      // Somebody has banned it since, which an eviction would undo.
      host.spire.set(server, view)
      changed()
      return
    }
    const cause = keylime.cause === 'none' ? 'person' : keylime.cause
    const { code, message } = keylime.cause === 'none' ? { code: '', message: host.latch?.reason ?? '' } : keylime
    watcher.cut(host, server, view, cause)
    metrics.cutOff(action, cause)
    this.#staged(cutOff, 'banned')
    const took = noticedAt === undefined ? null : performance.now() - noticedAt
    const at = new Date().toISOString()
    watcher.hosts.remember({ at, agent_id: agentId, action, cause, code, message, took_ms: took })
    const facts = { server, action, cause, code }
    log.info('a host is cut off', { agent_id: agentId, ...facts, took_ms: Math.round(took ?? 0), found: view })
    telling.host('done', agentId, { ...facts, outcome: view })
    changed()
  }

  #staged({ spiffeId }: CutOff, stage: 'banned' | 'gone'): void {
    const host = this.#parts.watcher.hosts.find(this.#agentId(spiffeId))
    if (host?.noticedAt !== undefined) this.#parts.metrics.stage(stage, (performance.now() - host.noticedAt) / 1000)
  }

  #cameBack({ spiffeId }: CutOff, server: string): void {
    const agentId = this.#agentId(spiffeId)
    this.#returned.set(agentId, performance.now())
    this.#parts.metrics.returned()
    this.#parts.log.error('a banned agent was attested again', { agent_id: agentId, server })
    this.#parts.telling.host('returned', agentId, { server })
  }

  #spiffeId(agentId: AgentId): string {
    return `${this.#parts.prefix}${agentId}`
  }

  #agentId(spiffeId: string): AgentId {
    return parseAgentId(spiffeId.slice(this.#parts.prefix.length))
  }
}
