/**
 * The verifier's second opinion on a proved quote, and the self-check that shows the opinion is worth something.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { newNonce } from '../plugins/keylime/nonce.ts'
import type { IdentityQuestion, IdentityVerdict } from '../plugins/keylime/verifier-client.ts'
import { BoundedMap } from './bounded-map.ts'
import { oneLine } from './catalogue.ts'
import { refusal } from './refusal.ts'

/** Is what is asked of a verifier here; `VerifierClient` fits. */
export interface OpinionSource {
  verifyIdentity(question: IdentityQuestion, options: { readonly signal: AbortSignal }): Promise<IdentityVerdict>
}

/** Is how many opinions are remembered for one verifier: two fleets of 5,000 nodes. */
const MAX_OPINIONS = 10_000

/** Holds one verifier's opinions. An opinion stands for an agent and its AK, not for one quote. */
export class SecondOpinion {
  readonly #source: OpinionSource
  readonly #ttlMs: number
  readonly #clock: () => number
  /** Agent ID and AK to the time until which the opinion stands. */
  readonly #standing = new BoundedMap<string, number>(MAX_OPINIONS)

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

  /**
   * Tells whether the opinion of an agent's AK stands, so that nothing needs to be asked.
   *
   * @param agentId The agent.
   * @param akTpm TPM2B_PUBLIC of its AK, from the registrar.
   * @returns True when the verifier confirmed this AK within the time to live.
   */
  stands(agentId: string, akTpm: Uint8Array): boolean {
    const until = this.#standing.get(keyOf(agentId, akTpm))
    return until !== undefined && this.#clock() < until
  }

  /**
   * Has the verifier confirm a quote, and refuse the same quote with another nonce. Remembers only a full success.
   *
   * A success also shows that registrar and verifier hold the same AK for this agent, which the API says nowhere else.
   *
   * @param evidence The quote, proved by us.
   * @param akTpm TPM2B_PUBLIC of the AK it was proved with.
   * @param options Signal of the attestation.
   * @throws {Refusal} `KL-QUOTE-VERIFIER-REJECTED`: a verdict. `KL-OPINION-SELF-CHECK`: the verifier accepts anything,
   *   which is no verdict on the node.
   * @throws {KeylimeError} As the verifier's client.
   * @see keylime 9b1f6e6a, docs/rest_apis/2_5/verifier.rst, `GET /v2.5/verify/identity`
   */
  async ask(evidence: IdentityQuestion, akTpm: Uint8Array, options: { readonly signal: AbortSignal }): Promise<void> {
    const asked = await this.#source.verifyIdentity(evidence, options)
    if (!asked.valid) {
      throw refusal('KL-QUOTE-VERIFIER-REJECTED', {}, { facts: { verifier_reason: oneLine(asked.reason ?? 'none') } })
    }
    const check = await this.#source.verifyIdentity({ ...evidence, nonce: newNonce() }, options)
    if (check.valid) throw refusal('KL-OPINION-SELF-CHECK', {}, { facts: { ak_sha256: digestOf(akTpm) } })
    if (this.#ttlMs > 0) this.#standing.set(keyOf(evidence.agentId, akTpm), this.#clock() + this.#ttlMs)
  }
}

function keyOf(agentId: string, akTpm: Uint8Array): string {
  return `${agentId}:${digestOf(akTpm)}`
}

function digestOf(akTpm: Uint8Array): string {
  return createHash('sha256').update(akTpm).digest('hex')
}
