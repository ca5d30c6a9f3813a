/**
 * The verifier's second opinion on a proved quote, and the self-check that shows the opinion is worth something.
 *
 * @module
 */
import { hash } from 'node:crypto'
import { attestError } from '@tower-of-omens/gate'
import type { AgentId } from '@tower-of-omens/keylime'
import { BoundedMap, Limiter, oneLine, untilAborted } from '@tower-of-omens/keylime'
import type { Opinion } from '@tower-of-omens/keylime/api'
import { type Evidence, newNonce } from '@tower-of-omens/keylime/evidence'

/** The part of a verifier's client that is used here. */
export interface OpinionSource {
  verifyIdentity(evidence: Evidence, options: { readonly signal: AbortSignal }): Promise<Opinion>
}

/** Opinions remembered for one verifier: two fleets of 5,000 nodes. */
const MAX_OPINIONS = 10_000

/** Opinions asked of one verifier at a time; the rest waits here. */
const AT_A_TIME = 12
/** So many under way or waiting mean that nodes come faster than by ones and twos: each takes the verifier 2.9 ms. */
const MANY = AT_A_TIME / 2

/** How long a self-check made with one AK speaks for the verifier itself, while checking each would keep many waiting. */
const CHECK_STANDS_MS = 10_000

/** An opinion that stands. */
interface KeptOpinion {
  /** Agent ID and AK. */
  readonly key: string
  readonly until: number
  /** Whether the self-check was made with this AK, not with another one while many came; it is made up for later. */
  isChecked: boolean
  attestationCount?: number
}

/** One verifier's opinions. An opinion stands for an agent and its AK, not for one quote. */
export class SecondOpinion {
  readonly #source: OpinionSource
  readonly #ttlMs: number
  readonly #clock: () => number
  readonly #limiter = new Limiter(AT_A_TIME)
  #lastCheck = Number.NEGATIVE_INFINITY
  /** Agent ID to the opinion that stands: of one AK, since another one that is confirmed means another enrolment. */
  readonly #standing = new BoundedMap<AgentId, KeptOpinion>(MAX_OPINIONS)
  /** Agent ID and AK to a question under way: a node that calls a hundred times is asked about once. */
  readonly #asking = new Map<string, Promise<void>>()

  /**
   * @param source The verifier.
   * @param ttlMs `verifier_opinion_ttl`; 0: every quote is asked about.
   * @param clock Milliseconds, never going back; default `performance.now`.
   */
  constructor(source: OpinionSource, ttlMs: number, clock: () => number = () => performance.now()) {
    this.#source = source
    this.#ttlMs = ttlMs
    this.#clock = clock
  }

  /** Counts the nodes that wait to be asked about. */
  get waiting(): number {
    return this.#limiter.counts.waiting
  }

  /**
   * Makes sure that the verifier confirms an agent's AK: by an opinion that stands, or by asking about this quote.
   *
   * Asking means two questions: the verifier must call the quote valid, and must refuse the same quote with another
   * nonce. Only a success is remembered. It also shows that registrar and verifier hold the same AK for this agent,
   * which the API says nowhere else. While many nodes never seen come the second question is asked with some of their AKs
   * for all of them; the rest is asked it at their next attestation.
   *
   * @param evidence The quote, proved by us.
   * @param akTpm TPM2B_PUBLIC of the AK it was proved with, from the registrar.
   * @param options Signal of the attestation. `afresh`: an opinion that stands does not count.
   * @throws {AttestError} `KL-QUOTE-VERIFIER-REJECTED`: a verdict. `KL-OPINION-SELF-CHECK`: the verifier accepts anything,
   *   which is no verdict on the node. `KL-BUSY`: too many wait.
   * @throws {KeylimeError} As the verifier's client.
   * @see keylime 9b1f6e6a, docs/rest_apis/2_5/verifier.rst, `GET /v2.5/verify/identity`
   */
  async confirm(
    evidence: Evidence,
    akTpm: Uint8Array,
    options: { readonly signal: AbortSignal; readonly afresh?: boolean },
  ): Promise<void> {
    const key = keyOf(evidence.agentId, akTpm)
    const { signal } = options
    if (options.afresh === true) {
      await this.#limiter.run(signal, () => this.#ask(evidence, akTpm, { signal }))
      return
    }
    if (this.#stands(evidence.agentId, key)) return this.#makeUpFor(evidence, akTpm, signal)
    // What another call learns of this AK counts for this one too; what it fails of is its own affair.
    for (let other = this.#asking.get(key); other !== undefined; other = this.#asking.get(key)) {
      await untilAborted(signal, other)
      if (this.#stands(evidence.agentId, key)) return
    }
    const asking = this.#limiter
      .run(signal, () => this.#ask(evidence, akTpm, { ...options, mayShare: true }))
      .then((isChecked) => this.#keep(evidence.agentId, key, isChecked))
    if (this.#ttlMs > 0) this.#share(key, asking)
    await asking
  }

  /**
   * Forgets an opinion when the verifier's record shows that the agent was deleted and enrolled again since, maybe with
   * another AK: then its count of attestations has begun anew.
   *
   * @param agentId The agent.
   * @param akTpm The AK the opinion is of.
   * @param attestationCount Of the record just read.
   * @returns True when an opinion is forgotten.
   */
  outlived(agentId: AgentId, akTpm: Uint8Array, attestationCount: number): boolean {
    const opinion = this.#standing.get(agentId)
    if (opinion?.key !== keyOf(agentId, akTpm)) return false
    if (attestationCount < (opinion.attestationCount ?? 0)) {
      this.#standing.delete(agentId)
      return true
    }
    opinion.attestationCount = attestationCount
    return false
  }

  /**
   * Sends away everybody who waits to ask: the verifier has failed, and another one may answer.
   *
   * @param error What each of them fails with.
   */
  release(error: unknown): void {
    this.#limiter.release(error)
  }

  #keep(agentId: AgentId, key: string, isChecked: boolean): void {
    if (this.#ttlMs > 0) this.#standing.set(agentId, { key, until: this.#clock() + this.#ttlMs, isChecked })
  }

  /** Makes the self-check that was put off while many came, as soon as few do. */
  async #makeUpFor(evidence: Evidence, akTpm: Uint8Array, signal: AbortSignal): Promise<void> {
    const opinion = this.#standing.get(evidence.agentId)
    if (opinion === undefined || opinion.isChecked || this.#areMany()) return
    opinion.isChecked = true
    try {
      await this.#limiter.run(signal, () => this.#check(evidence, akTpm, { signal }))
    } catch (error) {
      this.#standing.delete(evidence.agentId)
      throw error
    }
  }

  #areMany(): boolean {
    return this.#limiter.counts.active + this.waiting >= MANY
  }

  #stands(agentId: AgentId, key: string): boolean {
    const opinion = this.#standing.get(agentId)
    return opinion?.key === key && this.#clock() < opinion.until
  }

  #share(key: string, asking: Promise<void>): void {
    const settled = asking
      .catch(() => undefined)
      .finally(() => {
        if (this.#asking.get(key) === settled) this.#asking.delete(key)
      })
    this.#asking.set(key, settled)
  }

  /** Asks one question or both. @returns Whether the self-check was made. */
  async #ask(
    evidence: Evidence,
    akTpm: Uint8Array,
    options: { readonly signal: AbortSignal; readonly mayShare?: boolean },
  ): Promise<boolean> {
    const asked = await this.#source.verifyIdentity(evidence, options)
    if (!asked.valid) {
      throw attestError(
        'KL-QUOTE-VERIFIER-REJECTED',
        {},
        { facts: { verifier_reason: oneLine(asked.reason ?? 'none') } },
      )
    }
    const isSpokenFor = this.#clock() - this.#lastCheck < CHECK_STANDS_MS
    if (options.mayShare === true && isSpokenFor && this.#areMany()) return false
    await this.#check(evidence, akTpm, options)
    return true
  }

  async #check(evidence: Evidence, akTpm: Uint8Array, options: { readonly signal: AbortSignal }): Promise<void> {
    const check = await this.#source.verifyIdentity({ ...evidence, nonce: newNonce() }, options)
    if (check.valid) {
      this.#lastCheck = Number.NEGATIVE_INFINITY
      throw attestError('KL-OPINION-SELF-CHECK', {}, { facts: { ak_sha256: digestOf(akTpm) } })
    }
    this.#lastCheck = this.#clock()
  }
}

function keyOf(agentId: string, akTpm: Uint8Array): string {
  return `${agentId}:${digestOf(akTpm)}`
}

// By the bytes' object, which stays the same as long as the registrar's record does.
const digests = new WeakMap<Uint8Array, string>()

function digestOf(akTpm: Uint8Array): string {
  const known = digests.get(akTpm)
  if (known !== undefined) return known
  const digest = hash('sha256', akTpm)
  digests.set(akTpm, digest)
  return digest
}
