/**
 * Agent NodeAttestor: speaks for the node. It gives the payload and answers the server plugin's challenges.
 *
 * @see spiffe/spire 1.13.3, pkg/agent/plugin/nodeattestor/v1.go, the host's side of the conversation
 * @module
 */

import { type BidiStream, CallCancelledError, serveBidi } from '@tower-of-omens/go-plugin'
import type { Challenge, PayloadOrChallengeResponse } from '../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts'
import { type CallContext, callContext, type PluginRuntime, withConfig } from '../runtime/call.ts'
import { asBuffer, type PluginService } from '../runtime/plugin-service.ts'
import { toWireStatus } from '../wire/wire-status.ts'

/** One attestation, seen from the node. */
export interface AidAttestationStream extends CallContext {
  /** Sends the payload: first, once, and not empty. */
  sendPayload(bytes: Uint8Array): Promise<void>
  /**
   * Waits for the next challenge.
   *
   * @returns The challenge; `undefined` when the attestation is over, with success or without.
   */
  receiveChallenge(): Promise<Uint8Array | undefined>
  /** Answers the last challenge; not empty. */
  respond(bytes: Uint8Array): Promise<void>
}

/** What the author of an agent NodeAttestor writes. */
export interface AgentNodeAttestor<C> {
  /**
   * Helps with one attestation. It may return after the payload only if no challenge will come.
   *
   * @throws {RpcError} Never `PERMISSION_DENIED`: the verdict is the server's.
   */
  aidAttestation(stream: AidAttestationStream, config: C): Promise<void>
}

/**
 * Makes the service of an agent NodeAttestor.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `NodeAttestor`.
 */
export function agentNodeAttestor<C>(impl: AgentNodeAttestor<C>): PluginService<C> {
  return {
    name: 'spire.plugin.agent.nodeattestor.v1.NodeAttestor',
    async bind(runtime) {
      const { NodeAttestorService } = await import('../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts')
      const aidAttestation = serveBidi<Challenge, PayloadOrChallengeResponse>(
        (stream) => withConfig(runtime.slot, (config) => aidOne(impl, runtime, stream, config)),
        (error) => toWireStatus(error, { method: 'AidAttestation', log: runtime.log, mapError: runtime.mapError }),
      )
      return { definition: NodeAttestorService, implementation: { aidAttestation } }
    },
  }
}

async function aidOne<C>(
  impl: AgentNodeAttestor<C>,
  runtime: PluginRuntime<C>,
  stream: BidiStream<Challenge, PayloadOrChallengeResponse>,
  config: C,
): Promise<void> {
  const conversation = new Conversation(stream)
  try {
    await impl.aidAttestation(
      {
        ...callContext(runtime, stream.metadata, stream.signal),
        sendPayload: (bytes) => conversation.say('payload', bytes),
        receiveChallenge: () => conversation.listen(),
        respond: (bytes) => conversation.say('challengeResponse', bytes),
      },
      config,
    )
  } catch (error) {
    await conversation.awaitTurn()
    throw error
  }
}

/** Knows whose turn it is, so that an error is told when SPIRE is listening for it. */
class Conversation {
  readonly #stream: BidiStream<Challenge, PayloadOrChallengeResponse>
  #hostsTurn = false

  constructor(stream: BidiStream<Challenge, PayloadOrChallengeResponse>) {
    this.#stream = stream
  }

  async say(kind: 'payload' | 'challengeResponse', bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) throw new Error(`${kind} is empty, which SPIRE takes for a missing one`)
    this.#hostsTurn = true
    await this.#stream.send({ data: { $case: kind, value: asBuffer(bytes) } })
  }

  async listen(): Promise<Uint8Array | undefined> {
    try {
      const message = await this.#stream.receive()
      this.#hostsTurn = false
      return message?.challenge
    } catch (error) {
      // SPIRE cancels the stream after every attestation, also after a good one.
      if (error instanceof CallCancelledError) return undefined
      throw error
    }
  }

  /**
   * Waits for SPIRE's next message before an error ends the stream. SPIRE would otherwise find the stream closed when
   * it sends, and report "plugin closed stream before handling the challenge" in place of our status.
   */
  async awaitTurn(): Promise<void> {
    if (this.#hostsTurn) await this.listen()
  }
}
