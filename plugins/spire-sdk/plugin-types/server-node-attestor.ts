/**
 * Server NodeAttestor: decides whether a node may have an identity, and which selectors it gets.
 *
 * @see spiffe/spire 1.13.3, pkg/server/plugin/nodeattestor/v1.go, the host's side of the conversation
 * @module
 */

import { type BidiStream, serveBidi } from '@tower-of-omens/go-plugin'
import type { AttestRequest, AttestResponse } from '../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import { type CallContext, callContext, type PluginRuntime, withConfig } from '../runtime/call.ts'
import { asBuffer, type PluginService } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'
import { parseSpiffeId } from '../wire/spiffe-id.ts'
import { toWireStatus } from '../wire/wire-status.ts'

/** Largest message that the connection between SPIRE's agent and server carries: gRPC's default of 4 MiB. */
export const MAX_ATTESTATION_MESSAGE_BYTES = 4 * 1024 * 1024

/** One attestation, seen from the server. Every byte it returns comes from an unproven caller. */
export interface AttestStream extends CallContext {
  /**
   * Returns the attestation payload. SPIRE has sent it before the plugin's code runs.
   *
   * @throws {RpcError} `INVALID_ARGUMENT`: the first message is none, or it is too large.
   */
  receivePayload(): Promise<Uint8Array>
  /**
   * Sends a challenge to the node and waits for its answer; there is no time limit but the stream's signal.
   *
   * @throws {RpcError} `CANCELLED`: the node or SPIRE has gone. `INVALID_ARGUMENT`: the answer is none, or too large.
   */
  challenge(bytes: Uint8Array): Promise<Uint8Array>
}

/** Result of an attestation. */
export interface AgentAttributes {
  /** `spiffe://<trust domain>/spire/agent/<plugin name>/...`, at most 255 bytes. */
  readonly spiffeId: string
  /** Values without the plugin's name; none empty, at most 255 bytes each for SPIRE's databases. */
  readonly selectorValues: readonly string[]
  /** True: the agent renews its identity by attesting again, and the plugin is asked every time. */
  readonly canReattest: boolean
}

/** What the author of a server NodeAttestor writes. */
export interface ServerNodeAttestor<C> {
  /**
   * Attests one node. The configuration stays the same for the whole call.
   *
   * @throws {RpcError} `PERMISSION_DENIED` only for a verdict on the node: a starting SPIRE Agent exits on it.
   */
  attest(stream: AttestStream, config: C): Promise<AgentAttributes>
  /** Largest payload or challenge response; {@link MAX_ATTESTATION_MESSAGE_BYTES} by default. */
  readonly maxMessageBytes?: number
}

/**
 * Makes the service of a server NodeAttestor.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `NodeAttestor`.
 */
export function serverNodeAttestor<C>(impl: ServerNodeAttestor<C>): PluginService<C> {
  return {
    name: 'spire.plugin.server.nodeattestor.v1.NodeAttestor',
    async bind(runtime) {
      const { NodeAttestorService } = await import('../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts')
      const attest = serveBidi<AttestRequest, AttestResponse>(
        (stream) => attestOne(impl, runtime, stream),
        (error) => toWireStatus(error, { method: 'Attest', log: runtime.log, mapError: runtime.mapError }),
      )
      return { definition: NodeAttestorService, implementation: { attest } }
    },
  }
}

async function attestOne<C>(
  impl: ServerNodeAttestor<C>,
  runtime: PluginRuntime<C>,
  stream: BidiStream<AttestRequest, AttestResponse>,
): Promise<void> {
  // Read before failing: a stream that ends before SPIRE's first Send is reported as "plugin closed stream
  // unexpectedly", and our status is lost.
  const first = await receive(stream, 'the attestation payload')
  await withConfig(runtime.slot, async (config) => {
    const limit = impl.maxMessageBytes ?? MAX_ATTESTATION_MESSAGE_BYTES
    const value = await impl.attest(attestStream(runtime, stream, first, limit), config)
    const { spiffeId, selectorValues, canReattest } = requireAttributes(value)
    await stream.send({
      response: { $case: 'agentAttributes', value: { spiffeId, selectorValues: [...selectorValues], canReattest } },
    })
  })
}

function attestStream<C>(
  runtime: PluginRuntime<C>,
  stream: BidiStream<AttestRequest, AttestResponse>,
  first: AttestRequest,
  limit: number,
): AttestStream {
  return {
    ...callContext(runtime, stream.metadata, stream.signal),
    receivePayload: async () => bounded(bytesOf(first, 'payload', 'attestation payload'), limit, 'attestation payload'),
    async challenge(bytes) {
      await stream.send({ response: { $case: 'challenge', value: asBuffer(bytes) } })
      const answer = await receive(stream, 'the challenge response')
      return bounded(bytesOf(answer, 'challengeResponse', 'challenge response'), limit, 'challenge response')
    },
  }
}

async function receive(stream: BidiStream<AttestRequest, AttestResponse>, what: string): Promise<AttestRequest> {
  const message = await stream.receive()
  // SPIRE never ends its side: an end is a cancellation whose signal is still under way.
  if (message === undefined) throw new RpcError('CANCELLED', `stream ended before ${what}`)
  return message
}

function bytesOf(message: AttestRequest, kind: 'payload' | 'challengeResponse', what: string): Uint8Array {
  if (message.request?.$case === kind) return message.request.value
  throw new RpcError('INVALID_ARGUMENT', `message carries no ${what}`)
}

function bounded(bytes: Uint8Array, limit: number, what: string): Uint8Array {
  if (bytes.length <= limit) return bytes
  throw new RpcError('INVALID_ARGUMENT', `${what} has ${bytes.length} bytes, at most ${limit} are allowed`)
}

// A wrong result is the plugin's own fault: it becomes "internal error", and the log says what is wrong.
function requireAttributes(attributes: AgentAttributes): AgentAttributes {
  try {
    parseSpiffeId(attributes.spiffeId)
  } catch (cause) {
    throw new Error('attestation result has no valid SPIFFE ID', { cause })
  }
  if (attributes.selectorValues.some((value) => value === '' || value.includes('\uFFFD'))) {
    throw new Error('attestation result has an empty or garbled selector value')
  }
  return attributes
}
