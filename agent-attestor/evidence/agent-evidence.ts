/**
 * Evidence that the node's Keylime agent gives over its API.
 *
 * @module
 */
import type { Challenge, ChallengeResponse, Payload } from '@tower-of-omens/keylime/evidence'
import type { IdentitySource, KeylimeAgent } from './claimed-identity.ts'
import type { EvidenceSource } from './evidence-source.ts'

/** The Keylime agent as the source of both: who it is, and a quote. */
export class AgentEvidence implements EvidenceSource {
  readonly #keylimeAgent: KeylimeAgent
  readonly #identity: IdentitySource

  /**
   * @param keylimeAgent The node's Keylime agent.
   * @param identity Who it says it is.
   */
  constructor(keylimeAgent: KeylimeAgent, identity: IdentitySource) {
    this.#keylimeAgent = keylimeAgent
    this.#identity = identity
  }

  get name(): string {
    return this.#keylimeAgent.name
  }

  claim(signal: AbortSignal): Promise<Payload<string>> {
    return this.#identity.get(signal)
  }

  async answer({ nonce }: Challenge, signal: AbortSignal): Promise<ChallengeResponse> {
    const { quote, pubkey } = await this.#keylimeAgent.getIdentityQuote(nonce, { signal })
    return { quote, pubkey }
  }
}
