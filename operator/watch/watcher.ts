/**
 * The heart of the daemon: what bell, rounds and SPIRE say of each host goes in, cut-offs come out.
 *
 * @module
 */
import type { AgentId } from '@tower-of-omens/keylime'
import type { AgentRecord, AgentRecords } from '@tower-of-omens/keylime/api'
import type { SpireAgent } from '@tower-of-omens/spire-api'
import { judgeAsPlugin, type PluginRules } from '../judgement.ts'
import { Brake, type BrakeRules } from './brake.ts'
import { type DecideFacts, decide, GONE, keylimeStanding, type SpireView, type WatchMode } from './decide.ts'
import { spireView, viewOf, type WatchedHost, WatchedHosts } from './hosts.ts'

/** What the heart is told once. */
export interface WatcherRules {
  readonly mode: WatchMode
  readonly massVerdicts: 'cut' | 'hold'
  readonly brake: BrakeRules
  readonly plugin: PluginRules
}

/** What was decided about a host, to be carried out. */
export interface Decision {
  readonly host: WatchedHost
  readonly action: 'ban' | 'evict'
  readonly cause: string
  readonly code: string
  readonly message: string
  /** Milliseconds, by the steady clock, when the reason was first seen. */
  readonly noticedAt: number
}

/** Told of what follows. */
export interface WatcherEars {
  /** Something is to be done; in mode `observe` it is only to be said. */
  readonly decided: (decision: Decision) => void
  /** The brake went on or off. */
  readonly braked: (isOn: boolean, absent: number, hosts: number) => void
  /** A ban of ours was lifted by somebody, and the gate admits the host again. */
  readonly lifted: (host: WatchedHost) => void
}

/** Rounds in which no verifier knows a host before it counts as gone: who is enrolled anew is away for a moment. */
const ROUNDS_UNTIL_GONE = 2
/** How long after an outage of a verifier staleness is not held against hosts: it has to quote them first. */
const SETTLE_MS = 15_000

/** The heart. */
export class Watcher {
  readonly hosts = new WatchedHosts()
  readonly #brake: Brake
  readonly #ears: WatcherEars
  readonly #clock: () => number
  #rules: WatcherRules
  /** Staleness counts again from then on, by the steady clock. */
  #settledAt = 0
  #lastDate: number | undefined
  #lastDateSeen = 0

  /**
   * @param rules What it is told once.
   * @param ears Told of what follows.
   * @param clock Milliseconds, only forward.
   */
  constructor(rules: WatcherRules, ears: WatcherEars, clock: () => number = () => performance.now()) {
    this.#rules = rules
    this.#ears = ears
    this.#clock = clock
    this.#brake = new Brake(rules.brake)
  }

  /** Whether evictions for absence wait. */
  get isBraked(): boolean {
    return this.#brake.isOn
  }

  /** What may be done. */
  get mode(): WatchMode {
    return this.#rules.mode
  }

  /**
   * Takes new rules; what is known of hosts stays.
   *
   * @param rules The rules.
   */
  setRules(rules: WatcherRules): void {
    this.#rules = rules
    this.#brake.setRules(rules.brake)
  }

  /** Takes that a verifier answers again after it did not: until it has quoted its hosts, they look stale. */
  verifierReturned(): void {
    this.#settledAt = this.#clock() + SETTLE_MS
  }

  /**
   * Takes what one SPIRE server has.
   *
   * @param server Its name.
   * @param agents Our attestor's agents, by agent ID.
   */
  spireListed(server: string, agents: ReadonlyMap<AgentId, SpireAgent>): void {
    for (const agentId of agents.keys()) this.hosts.know(agentId)
    for (const host of this.hosts.all) {
      host.spire.set(server, viewOf(agents.get(host.agentId), Date.now()))
      this.#lift(host)
    }
  }

  /**
   * Takes one record, from a look.
   *
   * @param agentId The agent.
   * @param record Its record; undefined: no verifier knows it, which only a round decides about.
   * @returns True: Keylime failed it, and it is cut off.
   */
  looked(agentId: AgentId, record: AgentRecord | undefined): boolean {
    if (record === undefined) return false
    const host = this.hosts.know(agentId)
    this.#take(host, record)
    // Absence is for the rounds alone, which see whether all hosts went at once, or the verifier has only just come back.
    if (host.keylime.cause !== 'verdict') return false
    this.#decide(host)
    return true
  }

  /**
   * Takes the records of the verifiers that answered, while another did not: a verdict needs no other's word.
   *
   * @param answers One a verifier that answered.
   */
  partOfRound(answers: readonly AgentRecords[]): void {
    for (const answer of answers) for (const agentId of answer.agentIds) this.looked(agentId, readable(answer, agentId))
  }

  /**
   * Takes the records of every verifier, all of which answered.
   *
   * @param answers One a verifier.
   */
  round(answers: readonly AgentRecords[]): void {
    this.#watchClock(answers)
    const seen = new Set<AgentId>()
    for (const answer of answers) {
      for (const agentId of answer.agentIds) {
        const record = readable(answer, agentId)
        if (record === undefined) continue
        seen.add(agentId)
        this.#take(this.hosts.know(agentId), record)
      }
    }
    for (const host of this.hosts.all) if (!seen.has(host.agentId)) this.#missed(host, answers)
    this.#updateBrake()
    for (const host of this.hosts.all) this.#decide(host)
  }

  /**
   * Notes that a host was cut off, so that nobody is asked twice.
   *
   * @param host The host.
   * @param server Name of the SPIRE server.
   * @param view What the server has now.
   * @param reason Why, for the latch.
   */
  cut(host: WatchedHost, server: string, view: SpireView, reason: string): void {
    host.spire.set(server, view)
    if (view === 'banned') host.latch ??= { since: host.record?.receivedAt ?? Date.now() / 1000, reason }
  }

  /**
   * Tells whether what was decided about a host would be decided again now, under the rules and the brake of now.
   *
   * @param host The host.
   * @param action What was decided.
   * @returns False: it is not to be tried again.
   */
  isStillMeant({ keylime }: WatchedHost, action: 'ban' | 'evict'): boolean {
    const { mode, massVerdicts } = this.#rules
    if (mode === 'observe') return false
    return decide({ mode, massVerdicts, keylime, spire: 'unknown', brake: this.#brake.isOn }).action === action
  }

  #take(host: WatchedHost, record: AgentRecord): void {
    host.record = record
    host.missing = 0
    const standing = keylimeStanding(record, judgeAsPlugin(record, this.#rules.plugin))
    const isExcused = standing.cause === 'stale' && this.#clock() < this.#settledAt
    this.#stand(host, isExcused ? { cause: 'none', isAdmitted: false } : standing)
  }

  // A record that cannot be read counts as seen: it says nothing of the host.
  #missed(host: WatchedHost, answers: readonly AgentRecords[]): void {
    if (answers.some((answer) => answer.agentIds.includes(host.agentId))) return
    host.missing += 1
    host.record = undefined
    if (host.missing < ROUNDS_UNTIL_GONE) return
    if (spireView(host) === 'absent' && host.latch === undefined) this.hosts.forget(host.agentId)
    else this.#stand(host, GONE)
  }

  #stand(host: WatchedHost, standing: WatchedHost['keylime']): void {
    host.keylime = standing
    if (standing.cause === 'none') host.noticedAt = undefined
    else host.noticedAt ??= this.#clock()
    this.#lift(host)
  }

  // Only the gate's yes to a success after the ban, together with an agent that is attested, means that it was lifted.
  #lift(host: WatchedHost): void {
    const { latch, keylime, record } = host
    if (latch === undefined || keylime.cause !== 'none' || !keylime.isAdmitted || spireView(host) !== 'attested') return
    if ((record?.lastSuccessfulAttestation ?? 0) <= latch.since) return
    host.latch = undefined
    this.#ears.lifted(host)
  }

  #updateBrake(): void {
    const wasOn = this.#brake.isOn
    const all = this.hosts.all
    const absent = all.filter(({ keylime }) => keylime.cause !== 'none' && keylime.cause !== 'verdict')
    this.#brake.update(new Set(absent.map(({ agentId }) => agentId)), all.length, this.#clock())
    if (this.#brake.isOn !== wasOn) this.#ears.braked(this.#brake.isOn, absent.length, all.length)
  }

  // The same date in two answers that lie seconds apart comes from a cache, or from a clock that stands.
  #watchClock(answers: readonly AgentRecords[]): void {
    const date = Math.max(...answers.map(({ receivedAt = 0 }) => receivedAt))
    if (date > 0 && date === this.#lastDate) {
      this.#brake.clockStands(this.#clock() - this.#lastDateSeen > 3_000)
      return
    }
    this.#brake.clockStands(false)
    this.#lastDate = date
    this.#lastDateSeen = this.#clock()
  }

  #decide(host: WatchedHost): void {
    const { keylime, evictedAt, noticedAt } = host
    const facts: DecideFacts = {
      mode: this.#rules.mode,
      keylime,
      spire: spireView(host),
      brake: this.#brake.isOn,
      massVerdicts: this.#rules.massVerdicts,
      sinceEvictionMs: evictedAt === undefined ? undefined : this.#clock() - evictedAt,
    }
    const verdict = decide(facts)
    if (verdict.action === 'none' || keylime.cause === 'none') return
    if (verdict.action === 'evict') host.evictedAt = this.#clock()
    const { code, message } = keylime
    this.#ears.decided({ host, ...verdict, code, message, noticedAt: noticedAt ?? this.#clock() })
  }
}

function readable(answer: AgentRecords, agentId: AgentId): AgentRecord | undefined {
  try {
    return answer.get(agentId)
  } catch {
    return undefined
  }
}
