import { Metadata } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import {
  type AttestRequest,
  type AttestResponse,
  NodeAttestorClient,
} from '../../../../plugins/spire-sdk/gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import {
  type AgentAttributes,
  RpcError,
  type ServerNodeAttestor,
  serverNodeAttestor,
} from '../../../../plugins/spire-sdk/index.ts'
import { type Served, serveInProcess } from '../in-process.ts'

const attributes: AgentAttributes = {
  spiffeId: 'spiffe://example.org/spire/agent/test/a',
  selectorValues: ['b'],
  canReattest: true,
}

const payload = (text: string): AttestRequest => ({ request: { $case: 'payload', value: Buffer.from(text) } })
const response = (text: string): AttestRequest => ({
  request: { $case: 'challengeResponse', value: Buffer.from(text) },
})

interface Result {
  readonly messages: AttestResponse[]
  readonly code: number
  readonly details: string
}

/** Sends messages, one for each answer, and waits for the end of the stream. */
function talk(plugin: Served, messages: readonly AttestRequest[], metadata = new Metadata()): Promise<Result> {
  const call = plugin.client(NodeAttestorClient).attest(metadata)
  const left = [...messages]
  const received: AttestResponse[] = []
  const next = (): void => {
    const message = left.shift()
    if (message === undefined) call.end()
    else call.write(message)
  }
  return new Promise((resolve) => {
    call.on('data', (message: AttestResponse) => {
      received.push(message)
      next()
    })
    call.on('error', () => undefined)
    call.on('status', ({ code, details }) => resolve({ messages: received, code, details }))
    next()
  })
}

const serve = (impl: ServerNodeAttestor<undefined>): Promise<Served> =>
  serveInProcess({ services: [serverNodeAttestor(impl)] })

describe('serverNodeAttestor', () => {
  it('carries payload, challenges and result [C49]', async () => {
    const seen: string[] = []
    await using plugin = await serve({
      async attest(stream) {
        seen.push(Buffer.from(await stream.receivePayload()).toString())
        for (const challenge of ['one', 'two', 'three']) {
          seen.push(Buffer.from(await stream.challenge(new TextEncoder().encode(challenge))).toString())
        }
        return attributes
      },
    })
    const result = await talk(plugin, [payload('hello'), response('1'), response('2'), response('3')])
    expect(seen).toEqual(['hello', '1', '2', '3'])
    expect(result).toEqual({
      code: 0,
      details: 'OK',
      messages: [
        ...['one', 'two', 'three'].map((text) => ({ response: { $case: 'challenge', value: Buffer.from(text) } })),
        { response: { $case: 'agentAttributes', value: attributes } },
      ],
    })
  })

  it('returns the same payload however often it is asked', async () => {
    await using plugin = await serve({
      async attest(stream) {
        const first = await stream.receivePayload()
        return { ...attributes, selectorValues: [String(first === (await stream.receivePayload()))] }
      },
    })
    const { messages } = await talk(plugin, [payload('x')])
    expect(messages[0]?.response).toMatchObject({ value: { selectorValues: ['true'] } })
  })

  it('shows the headers SPIRE forwards', async () => {
    await using plugin = await serve({
      attest: async ({ metadata }) => ({
        ...attributes,
        selectorValues: [metadata.get('X-Forwarded-Client-IP') ?? 'none', metadata.get('x-absent') ?? 'none'],
      }),
    })
    const metadata = new Metadata()
    metadata.set('x-forwarded-client-ip', '192.0.2.7')
    const { messages } = await talk(plugin, [payload('x')], metadata)
    expect(messages[0]?.response).toMatchObject({ value: { selectorValues: ['192.0.2.7', 'none'] } })
  })

  it('keeps code and message of an RpcError, and hides any other [C50]', async () => {
    await using plugin = await serve({
      async attest(stream) {
        const kind = Buffer.from(await stream.receivePayload()).toString()
        if (kind === 'known') throw new RpcError('PERMISSION_DENIED', 'quote rejected')
        throw new Error('ohno')
      },
    })
    expect(await talk(plugin, [payload('known')])).toEqual({ code: 7, details: 'quote rejected', messages: [] })
    expect(await talk(plugin, [payload('unknown')])).toEqual({ code: 13, details: 'internal error', messages: [] })
    expect(plugin.logs).toMatchObject([{ '@level': 'error', method: 'Attest', error: 'ohno' }])
  })

  it.each([
    ['a challenge response first', [response('x')], 'message carries no attestation payload'],
    ['an empty message first', [{ request: undefined }], 'message carries no attestation payload'],
    ['a payload for a response', [payload('x'), payload('y')], 'message carries no challenge response'],
    ['a payload of 9 bytes', [payload('123456789')], 'attestation payload has 9 bytes, at most 8 are allowed'],
    [
      'a response of 9 bytes',
      [payload('x'), response('123456789')],
      'challenge response has 9 bytes, at most 8 are allowed',
    ],
  ])('refuses %s', async (_title, messages, details) => {
    await using plugin = await serve({
      maxMessageBytes: 8,
      async attest(stream) {
        await stream.receivePayload()
        await stream.challenge(Buffer.from('c'))
        return attributes
      },
    })
    expect(await talk(plugin, messages)).toMatchObject({ code: 3, details })
  })

  it('accepts messages of exactly the size allowed', async () => {
    await using plugin = await serve({
      maxMessageBytes: 8,
      async attest(stream) {
        await stream.receivePayload()
        await stream.challenge(Buffer.from('c'))
        return attributes
      },
    })
    expect(await talk(plugin, [payload('12345678'), response('12345678')])).toMatchObject({ code: 0, details: 'OK' })
  })

  it('says which message was missing when the stream ends early', async () => {
    await using plugin = await serve({
      async attest(stream) {
        await stream.challenge(Buffer.from('c'))
        return attributes
      },
    })
    expect(await talk(plugin, [])).toMatchObject({ code: 1, details: 'stream ended before the attestation payload' })
    expect(await talk(plugin, [payload('x')])).toMatchObject({
      code: 1,
      details: 'stream ended before the challenge response',
    })
    expect(plugin.logs).toEqual([])
  })

  it.each([
    [{ ...attributes, spiffeId: '' }, 'attestation result has no valid SPIFFE ID'],
    [{ ...attributes, spiffeId: 'spiffe://example.org/a\uFFFD' }, 'attestation result has no valid SPIFFE ID'],
    [{ ...attributes, selectorValues: ['a', ''] }, 'attestation result has an empty or garbled selector value'],
    [{ ...attributes, selectorValues: ['\uFFFD'] }, 'attestation result has an empty or garbled selector value'],
  ])('lets no wrong result out (%#)', async (wrong, reason) => {
    await using plugin = await serve({ attest: async () => wrong })
    expect(await talk(plugin, [payload('x')])).toEqual({ code: 13, details: 'internal error', messages: [] })
    expect(plugin.logs).toMatchObject([{ '@level': 'error' }])
    expect(plugin.logs[0]?.['error']).toContain(reason)
  })

  it('aborts the signal and logs nothing when SPIRE cancels [C39]', async () => {
    const aborted = Promise.withResolvers<void>()
    const started = Promise.withResolvers<void>()
    await using plugin = await serve({
      async attest(stream) {
        stream.signal.addEventListener('abort', () => aborted.resolve())
        started.resolve()
        await stream.challenge(Buffer.from('never answered'))
        return attributes
      },
    })
    const call = plugin.client(NodeAttestorClient).attest()
    call.on('error', () => undefined)
    call.on('data', () => undefined)
    call.write(payload('x'))
    await started.promise
    call.cancel()
    await aborted.promise
    expect(plugin.logs).toEqual([])
  })
})
