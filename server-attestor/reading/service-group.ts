/**
 * Several Keylime services of one kind: asked in order, the one that knows a node first, a broken one last.
 *
 * @module
 */

import type { AgentId } from '@tower-of-omens/keylime'
import {
  abortReason,
  BoundedMap,
  type FailureReason,
  failureReason,
  isServiceDown,
  KeylimeError,
  type Log,
} from '@tower-of-omens/keylime'

/** One service of a group. */
export interface GroupMember<S> {
  /** Such as `keylime verifier 10.0.0.1:8881`. */
  readonly name: string
  readonly service: S
}

/** Time for which a service that failed is asked last. */
const ASIDE_MS = 10_000
/** Agents of whom it is remembered who knows them. */
const MAX_KNOWN = 20_000

/** Options of a group; absent ones have their defaults. */
export interface GroupOptions<S> {
  /** Milliseconds, never going back; default `performance.now`. */
  readonly clock?: () => number
  /** Who knew an agent is asked first next time; default true. */
  readonly sticky?: boolean
  /** Lets go of what waits at a service that cannot be reached, with an error for each: they go on to the next service. */
  readonly release?: (service: S, error: SentAway) => void
}

interface Health {
  failedAt: number | undefined
  /** When it was last heard of, whatever it said. */
  heardAt: number
}

type Member<S> = GroupMember<S> & { readonly health: Health }

/** What a search has come upon so far. */
interface Search {
  failure: KeylimeError | undefined
  unknown: KeylimeError | undefined
}

/** The lot of one who was taken out of the queue of a service that has failed as a whole, before anything was asked for him. */
export class SentAway extends Error {
  override readonly name = 'SentAway'
}

/** Services of one kind, asked until one of them answers for the agent. */
export class ServiceGroup<S> {
  readonly #members: readonly Member<S>[]
  readonly #log: Pick<Log, 'info' | 'warn'>
  readonly #clock: () => number
  readonly #sticky: boolean
  readonly #release: (service: S, error: SentAway) => void
  readonly #knows = new BoundedMap<AgentId, GroupMember<S>>(MAX_KNOWN)

  /**
   * @param members At least one, in the order of the configuration.
   * @param log Told when a service fails and when it is back.
   * @param options Clock, order, and what happens to those who wait at a service that fails.
   */
  constructor(
    members: readonly GroupMember<S>[],
    log: Pick<Log, 'info' | 'warn'>,
    { clock = () => performance.now(), sticky = true, release = () => undefined }: GroupOptions<S> = {},
  ) {
    this.#members = members.map((member) => ({
      ...member,
      health: { failedAt: undefined, heardAt: Number.NEGATIVE_INFINITY },
    }))
    this.#log = log
    this.#clock = clock
    this.#sticky = sticky && members.length > 1
    // Alone, one failed read says nothing of those that wait.
    this.#release = members.length > 1 ? release : () => undefined
  }

  /**
   * Asks one service after the other, until one answers for the agent or rejects it.
   *
   * That a service does not know the agent is no answer while another may know it, and neither is that it cannot be
   * reached. Any other error ends the search: it is about the agent, or about us.
   *
   * @param agentId Whom it is about.
   * @param signal Ends the search.
   * @param ask Asks one service.
   * @returns What the first service that answers says.
   * @throws {KeylimeError} The failure of a service when there was one, since it might have known the agent; else
   *   `KEYLIME_AGENT_UNKNOWN`.
   */
  async askInTurn<R>(agentId: AgentId, signal: AbortSignal, ask: (service: S) => Promise<R>): Promise<R> {
    const search: Search = { failure: undefined, unknown: undefined }
    for (let round = this.#inOrder(agentId); round.length > 0; ) {
      const sentAway: Member<S>[] = []
      for (const member of round) {
        if (signal.aborted) throw abortReason(signal)
        try {
          const answer = await ask(member.service)
          this.#succeeded(member)
          if (this.#sticky) this.#knows.set(agentId, member)
          return answer
        } catch (error) {
          if (signal.aborted) throw abortReason(signal)
          if (error instanceof SentAway) sentAway.push(member)
          else this.#learn(error, member, search)
        }
      }
      // Nobody else knows the agent, so they go to the end of the queue that they were taken out of.
      round = sentAway
    }
    this.#knows.delete(agentId)
    throw search.failure ?? search.unknown ?? new Error('a service group has no members')
  }

  /** Takes note of an answer that ends nothing; any other error ends the search. */
  #learn(error: unknown, member: Member<S>, search: Search): void {
    if (!(error instanceof KeylimeError)) throw error
    if (error.code === 'KEYLIME_AGENT_UNKNOWN') {
      this.#succeeded(member)
      search.unknown = error
      return
    }
    if (!isServiceFailure(error)) throw error
    search.failure ??= error
    if (isAboutOneRecord(error)) this.#unusable(member, error)
    else this.#failed(member, error)
  }

  #inOrder(agentId: AgentId): readonly Member<S>[] {
    if (this.#members.length === 1) return this.#members
    const known = this.#knows.get(agentId)
    const now = this.#clock()
    const rank = ({ name, health }: Member<S>): number => {
      return (isAside(health, now) ? 2 : 0) + (name === known?.name ? 0 : 1)
    }
    return this.#members.toSorted((left, right) => rank(left) - rank(right))
  }

  #succeeded({ name, health }: Member<S>): void {
    health.heardAt = this.#clock()
    if (health.failedAt === undefined) return
    health.failedAt = undefined
    this.#log.info('Keylime service answers again', { service: name })
  }

  #failed({ name, service, health }: Member<S>, error: KeylimeError): void {
    const now = this.#clock()
    const [isNews, wasAside] = [health.failedAt === undefined, isAside(health, now)]
    health.failedAt = now
    // One failed request says nothing of those that wait. Who waits at a service that is away came while it seemed well;
    // who comes later comes last, and has nowhere else to go.
    if (!wasAside && (isServiceDown(error) || isHanging(error, health, now))) {
      this.#release(service, new SentAway(error.message, { cause: error }))
    }
    if (saysSomething(error)) health.heardAt = now
    if (!isNews) return
    this.#log.warn('Keylime service fails', { service: name, error: error.message, ...error.facts })
  }

  // Alone, the service's answer ends the attestation, whose own log line says it.
  #unusable({ name }: GroupMember<S>, error: KeylimeError): void {
    if (this.#members.length === 1) return
    this.#log.warn('Keylime service sends an unusable record', { service: name, error: error.message, ...error.facts })
  }
}

function isAside({ failedAt }: Health, now: number): boolean {
  return failedAt !== undefined && now - failedAt < ASIDE_MS
}

// A request that went unanswered while no other one was answered either.
function isHanging({ code, facts }: KeylimeError, { heardAt }: Health, now: number): boolean {
  return code === 'KEYLIME_TIMEOUT' && now - heardAt >= Number(facts['timeout_ms'] ?? 0)
}

function saysSomething({ code }: KeylimeError): boolean {
  return code !== 'KEYLIME_TIMEOUT' && code !== 'KEYLIME_UNREACHABLE'
}

/** What one damaged record causes. Anyone can register such a one, so it must not set the service aside for all nodes. */
const RECORD_FAILURES: ReadonlySet<FailureReason> = new Set(['answer-shape', 'answer-other-agent', 'answer-too-large'])

function isAboutOneRecord(error: KeylimeError): boolean {
  const reason = failureReason(error)
  return reason !== undefined && RECORD_FAILURES.has(reason)
}

/** Tells failures of the service or of the way to it from answers about the agent. */
function isServiceFailure(error: KeylimeError): boolean {
  // Too many wait with us: the next service would be asked by all of them at once.
  if (failureReason(error) === 'queue-full') return false
  switch (error.code) {
    case 'KEYLIME_UNREACHABLE':
    case 'KEYLIME_TIMEOUT':
    case 'KEYLIME_UNAVAILABLE':
    case 'KEYLIME_CLIENT_REFUSED':
    case 'KEYLIME_PEER_UNTRUSTED':
    case 'KEYLIME_API_UNSUPPORTED':
    case 'KEYLIME_BAD_RESPONSE':
      return true
    case 'KEYLIME_AGENT_UNKNOWN':
    case 'KEYLIME_CONFLICT':
    case 'KEYLIME_BAD_MESSAGE':
    case 'KEYLIME_QUOTE_REJECTED':
    case 'KEYLIME_CANCELLED':
      return false
    default:
      return error.code satisfies never
  }
}
