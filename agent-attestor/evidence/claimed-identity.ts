/**
 * Who this node says it is: asked of the Keylime agent, held against `keylime_agent_uuid`.
 *
 * @module
 */

import { type AgentId, KeylimeError, SharedWork } from '@tower-of-omens/keylime'
import type { KeylimeAgentClient } from '@tower-of-omens/keylime/api'
import type { Payload } from '@tower-of-omens/keylime/evidence'
import { newNonce } from '@tower-of-omens/keylime/evidence'
import { NodeError } from '../node-error.ts'

/** The part of a Keylime agent's client that attestations use. */
export type KeylimeAgent = Pick<KeylimeAgentClient, 'name' | 'hasInfo' | 'getInfo' | 'getIdentityQuote'>

/** The question who this node is. Calls that come while one is under way share its answer: it says the same to each. */
export class IdentitySource {
  readonly #keylimeAgent: KeylimeAgent
  readonly #pinnedId: AgentId | undefined
  readonly #asking: SharedWork<Payload<string>>

  /**
   * @param keylimeAgent The node's Keylime agent.
   * @param pinnedId `keylime_agent_uuid`.
   */
  constructor(keylimeAgent: KeylimeAgent, pinnedId: AgentId | undefined) {
    this.#keylimeAgent = keylimeAgent
    this.#pinnedId = pinnedId
    this.#asking = new SharedWork((signal) => this.#ask(signal), gaveUp)
  }

  /**
   * Asks, or shares the answer to a question under way.
   *
   * @param signal Ends this call, and the question when nobody else waits for its answer.
   * @returns ID and hash algorithm, in the Keylime agent's words.
   * @throws {NodeError} Another ID than the pinned one, or none told and none pinned.
   * @throws {KeylimeError} The Keylime agent cannot answer. `KEYLIME_CANCELLED`: the signal aborted.
   */
  get(signal: AbortSignal): Promise<Payload<string>> {
    return this.#asking.join(signal)
  }

  async #ask(signal: AbortSignal): Promise<Payload<string>> {
    const [keylimeAgent, pinnedId] = [this.#keylimeAgent, this.#pinnedId]
    if (await keylimeAgent.hasInfo({ signal })) {
      const { agentId, hashAlg } = await keylimeAgent.getInfo({ signal })
      if (pinnedId === undefined || agentId === pinnedId) return { agentId, hashAlg }
      throw new NodeError(
        'KL-NODE-OTHER-ID',
        `${keylimeAgent.name} has id ${agentId}, expected ${pinnedId} (keylime_agent_uuid): correct that key, or uuid in the keylime agent's configuration`,
      )
    }
    if (pinnedId === undefined) {
      throw new NodeError(
        'KL-NODE-ID-UNTOLD',
        `${keylimeAgent.name} speaks API 2.1 only, which does not tell its id: set keylime_agent_uuid, or update it`,
      )
    }
    // There its hash algorithm stands only beside a quote.
    const { hashAlg } = await keylimeAgent.getIdentityQuote(newNonce(), { signal })
    return { agentId: pinnedId, hashAlg }
  }
}

function gaveUp(): KeylimeError {
  return new KeylimeError('KEYLIME_CANCELLED', 'spire agent gave up')
}
