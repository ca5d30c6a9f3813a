/**
 * Drivers of the two halves of node attestation, as spire-server and spire-agent call them.
 *
 * @see spiffe/spire ef8527ec9, pkg/{server,agent}/plugin/nodeattestor/v1.go
 * @module
 */
import { type ClientDuplexStream, Metadata } from '@grpc/grpc-js'
import { NodeAttestorClient as AgentNodeAttestorClient } from '../gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts'
import {
  type AgentAttributes,
  type AttestRequest,
  NodeAttestorClient as ServerNodeAttestorClient,
} from '../gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import type { DrivenPlugin } from './driven-plugin.ts'

/** One attestation, seen from the server. */
export interface Attestation {
  readonly payload: Uint8Array
  /** Answers a challenge; `index` counts from 0. Throw to walk away. */
  readonly answer: (challenge: Uint8Array, index: number) => Uint8Array | Promise<Uint8Array>
  /** Metadata SPIRE would send, such as `x-forwarded-client-ip`. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Cancels the call. */
  readonly signal?: AbortSignal
}

/**
 * Has the server plugin attest one node, as SPIRE does: after the attributes the stream is cancelled.
 *
 * @param plugin A server plugin that runs and is configured.
 * @param attestation The node's side.
 * @returns What the plugin says about the node.
 * @throws {ServiceError} The plugin refuses; `code` and `details` are its status.
 * @throws {Error} The plugin ends the stream without attributes, or sends a message without contents.
 */
export async function attestOnce(plugin: DrivenPlugin, attestation: Attestation): Promise<AgentAttributes> {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(attestation.metadata ?? {})) metadata.set(key, value)
  const call = plugin.client(ServerNodeAttestorClient).attest(metadata)
  const conversation = converse(call, attestation.signal)
  try {
    call.write(message('payload', attestation.payload))
    for (let index = 0; ; index++) {
      const answer = await conversation.next()
      if (answer === undefined) throw new Error('plugin closed stream unexpectedly')
      const { response } = answer
      if (response === undefined) throw new Error('plugin response missing challenge or agent attributes')
      if (response.$case === 'agentAttributes') return response.value
      const answered = Promise.resolve(attestation.answer(response.value, index))
      call.write(message('challengeResponse', await conversation.unlessFailed(answered)))
    }
  } finally {
    conversation.end()
  }
}

function message($case: 'payload' | 'challengeResponse', bytes: Uint8Array): AttestRequest {
  return { request: { $case, value: Buffer.from(bytes) } }
}

/** One attestation, seen from the agent. */
export interface AidAttestation {
  /**
   * Gives the next challenge.
   *
   * @param message What the plugin has just sent: the payload at index 0, then each challenge response.
   * @returns The challenge, or `undefined` when the server is satisfied.
   */
  readonly next: (message: Uint8Array, index: number) => Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** Cancels the call. */
  readonly signal?: AbortSignal
}

/** What the agent plugin sent. */
export interface AidedAttestation {
  readonly payload: Uint8Array
  readonly responses: readonly Uint8Array[]
}

/**
 * Has the agent plugin speak for its node, as SPIRE does: when no challenge is left the stream is cancelled.
 *
 * @param plugin An agent plugin that runs and is configured.
 * @param aid The server's side.
 * @returns Payload and challenge responses.
 * @throws {ServiceError} The plugin refuses; `code` and `details` are its status.
 * @throws {Error} The plugin ends the stream early, or sends an empty message, in SPIRE's words.
 */
export async function aidAttestation(plugin: DrivenPlugin, aid: AidAttestation): Promise<AidedAttestation> {
  const call = plugin.client(AgentNodeAttestorClient).aidAttestation()
  const conversation = converse(call, aid.signal)
  try {
    const first = await conversation.next()
    if (first === undefined) throw new Error('plugin closed stream before returning attestation data')
    const payload = first.data?.$case === 'payload' ? first.data.value : Buffer.alloc(0)
    if (payload.length === 0) throw new Error('plugin response missing attestation payload')
    const responses: Uint8Array[] = []
    for (;;) {
      const challenge = await conversation.unlessFailed(
        Promise.resolve(aid.next(responses.at(-1) ?? payload, responses.length)),
      )
      if (challenge === undefined) return { payload, responses }
      call.write({ challenge: Buffer.from(challenge) })
      const answer = await conversation.next()
      if (answer === undefined) throw new Error('plugin closed stream before handling the challenge')
      const response = answer.data?.$case === 'challengeResponse' ? answer.data.value : Buffer.alloc(0)
      if (response.length === 0) throw new Error('plugin response missing challenge response')
      responses.push(response)
    }
  } finally {
    conversation.end()
  }
}

interface Conversation<Response> {
  /** Waits for the next message; `undefined` when the plugin ended the stream with OK. */
  next(): Promise<Response | undefined>
  /** Waits for work of ours, but not longer than the call lives. */
  unlessFailed<T>(work: Promise<T>): Promise<T>
  end(): void
}

/** Turns a client call into awaited messages, keeping the status that ends it. */
function converse<Request, Response>(
  call: ClientDuplexStream<Request, Response>,
  signal: AbortSignal | undefined,
): Conversation<Response> {
  const inbox: Response[] = []
  const end: { reached: boolean; failure: Error | undefined } = { reached: false, failure: undefined }
  let wake: (() => void) | undefined
  const finish = (): void => {
    end.reached = true
    wake?.()
  }
  call.on('data', (received: Response) => {
    inbox.push(received)
    wake?.()
  })
  call.on('end', finish)
  const failed = Promise.withResolvers<never>()
  // Most calls fail, or are cancelled, while nobody waits for work of ours.
  failed.promise.catch(() => undefined)
  call.on('error', (error: Error) => {
    end.failure = error
    failed.reject(error)
    // Messages that came before the status are still on their way out of the stream.
    setImmediate(finish)
  })
  const onAbort = (): void => call.cancel()
  signal?.addEventListener('abort', onAbort, { once: true })
  return {
    next: async () => {
      while (inbox.length === 0 && !end.reached) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      if (inbox.length === 0 && end.failure !== undefined) throw end.failure
      return inbox.shift()
    },
    unlessFailed: (work) => Promise.race([work, failed.promise]),
    end: () => {
      signal?.removeEventListener('abort', onAbort)
      call.cancel()
    },
  }
}
