/**
 * Asking Keylime and SPIRE again and again, and handing what they say to the heart.
 *
 * @module
 */
import { type AgentId, isAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord, AgentRecords } from '@tower-of-omens/keylime/api'
import { listAgents, type SpireAgent } from '@tower-of-omens/spire-api'
import { agentPrefix } from '../fleet.ts'
import type { KeylimeSources } from '../sources/keylime.ts'
import type { OpenSources } from '../sources/open.ts'
import { settled } from '../sources/state.ts'
import type { SourceBook } from './sources.ts'
import type { Watcher } from './watcher.ts'

/** What is asked. */
export type WatchSources = OpenSources & { readonly keylime: KeylimeSources }

/** The questions of a watch to its sources. */
export class Asking {
  /** Agent ID to seconds until its SVID ends. */
  readonly svids = new Map<AgentId, number>()
  readonly #sources: WatchSources
  readonly #watcher: Watcher
  readonly #book: SourceBook
  readonly #signal: AbortSignal
  readonly #prefix: string
  #hasRound = false
  #hasList = false

  /**
   * @param sources What is asked.
   * @param watcher Who takes the answers.
   * @param book Where it is noted who answers.
   * @param signal Ends the questions.
   */
  constructor(sources: WatchSources, watcher: Watcher, book: SourceBook, signal: AbortSignal) {
    this.#sources = sources
    this.#watcher = watcher
    this.#book = book
    this.#signal = signal
    this.#prefix = agentPrefix(sources)
  }

  /** Whether everything was asked and answered at least once. */
  get hasAll(): boolean {
    return this.#hasRound && this.#hasList
  }

  /** Reads the records of all agents from every verifier; all must answer, or nothing but a verdict is concluded. */
  async round(): Promise<void> {
    const expectedAgents = this.#watcher.hosts.all.length
    const answers: AgentRecords[] = []
    const failures: string[] = []
    // One after the other: a bulk read holds a verifier's worker up.
    for (const verifier of this.#sources.keylime.verifiers) {
      const answer = await settled(verifier.getAgents({ signal: this.#signal, expectedAgents }))
      if ('failed' in answer) failures.push(answer.failed)
      else answers.push(answer.value)
    }
    if (failures.length > 0) {
      if (this.#signal.aborted) return
      this.#book.heard('verifier', failures.join('; '))
      this.#watcher.partOfRound(answers)
      return
    }
    if (this.#book.heard('verifier')) this.#watcher.verifierReturned()
    this.#watcher.round(answers)
    this.#hasRound = true
  }

  /** Lists the agents of every SPIRE server. */
  async listSpire(): Promise<void> {
    const failures: string[] = []
    const svids = new Map<AgentId, number>()
    // A server that is away hides nothing that another one has.
    for (const server of this.#sources.spire) {
      const options = { signal: this.#signal, attestationType: this.#sources.services.attestor }
      const answer = await settled(listAgents(server, options))
      if ('failed' in answer) failures.push(answer.failed)
      else this.#watcher.spireListed(server.name, this.#byAgentId(answer.value, svids))
    }
    for (const [agentId, left] of svids) this.svids.set(agentId, left)
    if (failures.length > 0) {
      if (!this.#signal.aborted) this.#book.heard('spire', failures.join('; '))
      return
    }
    for (const agentId of this.svids.keys()) if (!svids.has(agentId)) this.svids.delete(agentId)
    this.#book.heard('spire')
    this.#hasList = true
  }

  /**
   * Reads one record.
   *
   * @param agentId The agent.
   * @returns What the first verifier that knows it says; undefined: none that answered knows it.
   */
  async readOne(agentId: AgentId): Promise<AgentRecord | undefined> {
    const answers = await Promise.all(
      this.#sources.keylime.verifiers.map((verifier) => settled(verifier.getAgent(agentId, { signal: this.#signal }))),
    )
    const records = answers.map((answer) => ('value' in answer ? answer.value : undefined))
    return records.find((record) => record !== undefined)
  }

  /**
   * Asks anew whether Keylime refuses a host.
   *
   * @param agentId Its agent.
   * @returns Undefined: no verifier that answered knows it.
   */
  async isRefused(agentId: AgentId): Promise<boolean | undefined> {
    const record = await this.readOne(agentId)
    if (record === undefined) return undefined
    this.#watcher.looked(agentId, record)
    return this.#watcher.hosts.find(agentId)?.keylime.cause !== 'none'
  }

  #byAgentId(listed: readonly SpireAgent[], svids: Map<AgentId, number>): ReadonlyMap<AgentId, SpireAgent> {
    const agents = new Map<AgentId, SpireAgent>()
    const now = Date.now() / 1000
    for (const agent of listed) {
      const agentId = agent.id.startsWith(this.#prefix) ? agent.id.slice(this.#prefix.length) : ''
      if (!isAgentId(agentId)) continue
      agents.set(agentId, agent)
      const left = agent.banned ? 0 : agent.expiresAt - now
      svids.set(agentId, Math.max(left, svids.get(agentId) ?? left))
    }
    return agents
  }
}
