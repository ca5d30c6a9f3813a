import { once } from 'node:events'
import { connect } from 'node:http2'
import { createConnection } from 'node:net'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import {
  type BidiStream,
  CallCancelledError,
  serveBidi,
  type WireStatus,
} from '../../../../plugins/go-plugin/grpc/bidi.ts'
import type { GoPluginService } from '../../../../plugins/go-plugin/grpc/guarded-service.ts'
import { TRIAL, TrialClient, type TrialRequest, type TrialResponse } from '../../../plugin/go-plugin/trial-service.ts'
import { serveInProcess } from '../in-process.ts'

type Stream = BidiStream<TrialRequest, TrialResponse>
type Call = ClientDuplexStream<TrialRequest, TrialResponse>

function toStatus(error: unknown): WireStatus {
  return error instanceof RangeError ? { code: 9, details: error.message } : { code: 13, details: 'internal error' }
}

function chatService(handle: (stream: Stream) => Promise<void>): GoPluginService {
  return { definition: { chat: TRIAL.chat }, implementation: { chat: serveBidi(handle, toStatus) } }
}

function outcome(call: Call): Promise<{ code: number; details: string; texts: readonly string[] }> {
  const texts: string[] = []
  call.on('data', (message: TrialResponse) => texts.push(message.text))
  call.on('error', () => undefined)
  return new Promise((resolve) => {
    call.on('status', ({ code, details }: { code: number; details: string }) => resolve({ code, details, texts }))
  })
}

describe('serveBidi', () => {
  it('delivers the answer and OK when the handler returns without reading to the end', async () => {
    await using served = await serveInProcess(
      chatService(async (stream) => {
        const request = await stream.receive()
        await stream.send({ text: `got ${request?.text}` })
      }),
      TrialClient,
    )
    const call = served.client.chat()
    call.write({ action: 'x', text: 'one' })
    expect(await outcome(call)).toEqual({ code: 0, details: 'OK', texts: ['got one'] })
  })

  it('delivers the status of what the handler throws, after its messages', async () => {
    await using served = await serveInProcess(
      chatService(async (stream) => {
        await stream.send({ text: 'before' })
        await stream.receive()
        throw new RangeError('not configured')
      }),
      TrialClient,
    )
    const call = served.client.chat()
    call.write({ action: 'x' })
    expect(await outcome(call)).toEqual({ code: 9, details: 'not configured', texts: ['before'] })
  })

  it('gives undefined when the caller sends no more, and can still answer', async () => {
    await using served = await serveInProcess(
      chatService(async (stream) => {
        let count = 0
        while ((await stream.receive()) !== undefined) count += 1
        expect(await stream.receive()).toBeUndefined()
        await stream.send({ text: String(count) })
      }),
      TrialClient,
    )
    const call = served.client.chat()
    for (let i = 0; i < 100; i++) call.write({ action: 'x' })
    call.end()
    expect(await outcome(call)).toEqual({ code: 0, details: 'OK', texts: ['100'] })
  })

  it('keeps every message of a caller who is faster than the handler, in order', async () => {
    const seen: string[] = []
    await using served = await serveInProcess(
      chatService(async (stream) => {
        for (let request = await stream.receive(); request !== undefined; request = await stream.receive()) {
          await new Promise((resolve) => setImmediate(resolve))
          seen.push(request.text ?? '')
        }
      }),
      TrialClient,
    )
    const call = served.client.chat()
    const texts = Array.from({ length: 500 }, (_, index) => String(index))
    for (const text of texts) call.write({ action: 'x', text })
    call.end()
    expect((await outcome(call)).code).toBe(0)
    expect(seen).toEqual(texts)
  })

  it('aborts the signal and fails what waits when the caller cancels', async () => {
    const { promise: failed, resolve } = Promise.withResolvers<{ error: unknown; aborted: boolean }>()
    await using served = await serveInProcess(
      chatService(async (stream) => {
        await stream.send({ text: 'ready' })
        await once(stream.signal, 'abort')
        const error: unknown = await stream.send({ text: 'late' }).catch((reason: unknown) => reason)
        resolve({ error, aborted: stream.signal.aborted })
        throw new Error('unheard')
      }),
      TrialClient,
    )
    const call = served.client.chat()
    call.on('error', () => undefined)
    await once(call, 'data')
    call.cancel()
    expect(await failed).toEqual({ error: new CallCancelledError('call cancelled'), aborted: true })
    await expect(failed.then(({ error }) => error)).resolves.toMatchObject({ code: 1, details: 'call cancelled' })
  })

  it('waits with sending while the caller does not read', async () => {
    const text = 'x'.repeat(64 * 1024)
    let sent = 0
    await using served = await serveInProcess(
      chatService(async (stream) => {
        for (; sent < 200; sent++) await stream.send({ text })
      }),
      TrialClient,
    )
    // A grpc-js client reads ahead without bound; plain HTTP/2 does not.
    const session = connect('http://localhost', { createConnection: () => createConnection({ path: served.path }) })
    const headers = { ':method': 'POST', ':path': TRIAL.chat.path, 'content-type': 'application/grpc', te: 'trailers' }
    const request = session.request(headers)
    await once(request, 'response')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(sent).toBeLessThan(100)
    let bytes = 0
    request.on('data', (data: Buffer) => {
      bytes += data.length
    })
    await once(request, 'end')
    session.destroy()
    expect(sent).toBe(200)
    expect(bytes).toBeGreaterThan(200 * text.length)
  })
})
