/**
 * What the daemon knows of each host, and what it has done about it.
 *
 * @module
 */
import type { AgentId } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import type { SpireAgent } from '@tower-of-omens/spire-api'
import type { KeylimeStanding, SpireView } from './decide.ts'

/** One host as the daemon knows it. */
export interface WatchedHost {
  readonly agentId: AgentId
  /** The last record; undefined: no verifier knew it when all were asked. */
  record: AgentRecord | undefined
  keylime: KeylimeStanding
  /** By server, in the order of the configuration. */
  readonly spire: Map<string, SpireView>
  /** When the first reason to cut it off was seen, by the steady clock; undefined while there is none. */
  noticedAt: number | undefined
  /** When it was evicted last, by the steady clock. */
  evictedAt: number | undefined
  /** Set when we banned it, until a person lifts the ban. */
  latch: Latch | undefined
  /** Rounds in a row in which no verifier knew it. */
  missing: number
}

/** A ban of ours. */
export interface Latch {
  /** Seconds since the epoch, by the verifier's clock where it is known. */
  readonly since: number
  readonly reason: string
}

/** What was decided, for the page. */
export interface Decided {
  readonly at: string
  readonly agent_id: string
  readonly action: string
  readonly cause: string
  readonly code: string
  readonly message: string
  /** Milliseconds from the first sight of the reason to the answer of the last SPIRE server. */
  readonly took_ms: number | null
}

/** Decisions kept for the page. */
const MOST_DECISIONS = 50

/** All hosts. */
export class WatchedHosts {
  readonly #hosts = new Map<AgentId, WatchedHost>()
  readonly #decisions: Decided[] = []

  /** Every host. */
  get all(): readonly WatchedHost[] {
    return [...this.#hosts.values()]
  }

  /** The last decisions, the newest first. */
  get decisions(): readonly Decided[] {
    return this.#decisions.toReversed()
  }

  /**
   * Finds a host.
   *
   * @param agentId Its agent.
   * @returns The host, or undefined.
   */
  find(agentId: AgentId): WatchedHost | undefined {
    return this.#hosts.get(agentId)
  }

  /**
   * Finds a host, or begins to know it.
   *
   * @param agentId Its agent.
   * @returns The host.
   */
  know(agentId: AgentId): WatchedHost {
    const known = this.#hosts.get(agentId)
    if (known !== undefined) return known
    const host: WatchedHost = {
      agentId,
      record: undefined,
      keylime: { cause: 'none', isAdmitted: false },
      spire: new Map(),
      noticedAt: undefined,
      evictedAt: undefined,
      latch: undefined,
      missing: 0,
    }
    this.#hosts.set(agentId, host)
    return host
  }

  /**
   * Forgets a host that neither Keylime nor SPIRE has any more.
   *
   * @param agentId Its agent.
   */
  forget(agentId: AgentId): void {
    this.#hosts.delete(agentId)
  }

  /**
   * Keeps a decision for the page.
   *
   * @param decided What was done.
   */
  remember(decided: Decided): void {
    this.#decisions.push(decided)
    if (this.#decisions.length > MOST_DECISIONS) this.#decisions.shift()
  }
}

/**
 * Joins what several SPIRE servers have: whoever still has the agent attested counts.
 *
 * @param host The host.
 * @returns One view of it.
 */
export function spireView({ spire }: Pick<WatchedHost, 'spire'>): SpireView {
  const views = [...spire.values()]
  if (views.includes('attested')) return 'attested'
  if (views.length === 0 || views.includes('unknown')) return 'unknown'
  return views.includes('banned') ? 'banned' : 'absent'
}

/**
 * Tells whether a SPIRE server bans a host.
 *
 * @param host The host.
 * @returns True for one server that does, whatever the others have.
 */
export function isBanned({ spire }: Pick<WatchedHost, 'spire'>): boolean {
  return [...spire.values()].includes('banned')
}

/**
 * An SVID that ended this long ago cannot be renewed any more. Our clock may be minutes ahead of the server's: a host that
 * only looks ended must not be left alone.
 */
const ENDED_SECONDS = 900

/**
 * Reads how a server has an agent.
 *
 * @param agent What it listed; undefined when it did not.
 * @param now Milliseconds since the epoch.
 * @returns The view; an agent whose SVID has long ended must attest anew, so it is as good as absent.
 */
export function viewOf(agent: SpireAgent | undefined, now: number): SpireView {
  if (agent === undefined) return 'absent'
  if (agent.banned) return 'banned'
  return agent.expiresAt + ENDED_SECONDS < now / 1000 ? 'absent' : 'attested'
}
