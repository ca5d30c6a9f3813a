import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { GoPluginService } from '../../../../plugins/go-plugin/grpc/guarded-service.ts'
import { serveUnary } from '../../../../plugins/go-plugin/grpc/unary.ts'
import { unary } from '../../../../plugins/spire-sdk/testing/index.ts'
import { TRIAL, TrialClient, type TrialRequest, type TrialResponse } from '../../../plugin/go-plugin/trial-service.ts'
import { serveInProcess } from '../in-process.ts'

type Respond = (error: unknown, response?: TrialResponse) => void

function runService(run: (call: unknown, respond: Respond) => unknown): GoPluginService {
  return { definition: { run: TRIAL.run }, implementation: { run: run as never } }
}

async function callRun(
  run: (call: unknown, respond: Respond) => unknown,
): Promise<{ answer: unknown; logs: readonly string[] }> {
  await using served = await serveInProcess(runService(run), TrialClient)
  const answer: unknown = await unary<TrialResponse>((done) => served.client.run({ action: 'x' }, done)).catch(
    (error: unknown) => error,
  )
  return { answer, logs: served.logs }
}

describe('guardedImplementation', () => {
  it.each([
    [
      'throws',
      (): never => {
        throw new TypeError('secret')
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('secret'))],
    ['answers with a plain error', (_call: unknown, respond: Respond) => respond(new TypeError('secret'))],
  ])('turns a handler that %s into INTERNAL and logs the cause [C25]', async (_title, run) => {
    const { answer, logs } = await callRun(run)
    expect(answer).toMatchObject({ code: 13, details: 'internal error' })
    expect(logs).toHaveLength(1)
    expect(JSON.parse(logs[0] ?? '')).toMatchObject({ '@level': 'error', error: 'secret', method: '/trial.Trial/Run' })
  })

  it.each([
    [
      'throws',
      (): never => {
        throw Object.assign(new Error('x'), { code: 5, details: 'no such agent' })
      },
    ],
    ['rejects with', () => Promise.reject(Object.assign(new Error('x'), { code: 5, details: 'no such agent' }))],
    ['answers with', (_call: unknown, respond: Respond) => respond({ code: 5, details: 'no such agent' })],
  ])('passes a status on that a handler %s', async (_title, run) => {
    const { answer, logs } = await callRun(run)
    expect(answer).toMatchObject({ code: 5, details: 'no such agent' })
    expect(logs).toEqual([])
  })

  it('keeps the first answer of a handler that answers and then throws', async () => {
    const { answer } = await callRun((_call, respond) => {
      respond(null, { text: 'first' })
      throw new Error('second')
    })
    expect(answer).toEqual({ text: 'first' })
  })

  it.each([
    [
      'throws',
      (): never => {
        throw new TypeError('secret')
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('secret'))],
  ])('ends the stream of a handler that %s [C25]', async (_title, chat) => {
    const service = { definition: { chat: TRIAL.chat }, implementation: { chat: chat as never } }
    await using served = await serveInProcess(service, TrialClient)
    const call = served.client.chat()
    const [error] = (await once(call, 'error').catch((reason: unknown) => [reason])) as [unknown]
    expect(error).toMatchObject({ code: 13, details: 'internal error' })
  })

  it('answers UNIMPLEMENTED for a method without a handler', async () => {
    await using served = await serveInProcess({ definition: TRIAL, implementation: {} }, TrialClient)
    const answer = unary<TrialResponse>((done) => served.client.run({ action: 'x' }, done))
    await expect(answer).rejects.toMatchObject({ code: 12 })
  })
})

describe('serveUnary', () => {
  it('answers with what the function returns', async () => {
    const run = serveUnary<TrialRequest, TrialResponse>(
      (request) => ({ text: request.action }),
      () => ({ code: 2, details: '' }),
    )
    await using served = await serveInProcess({ definition: { run: TRIAL.run }, implementation: { run } }, TrialClient)
    expect(await unary<TrialResponse>((done) => served.client.run({ action: 'x' }, done))).toEqual({ text: 'x' })
  })

  it('aborts the signal when the deadline passes [C39]', async () => {
    const { promise: aborted, resolve } = Promise.withResolvers<unknown>()
    const run = serveUnary<TrialRequest, TrialResponse>(
      async (_request, { signal }) => {
        await once(signal, 'abort')
        resolve(signal.reason)
        throw new Error('unheard')
      },
      () => ({ code: 13, details: 'internal error' }),
    )
    await using served = await serveInProcess({ definition: { run: TRIAL.run }, implementation: { run } }, TrialClient)
    const answer = unary<TrialResponse>((done) =>
      served.client.run({ action: 'x' }, { deadline: Date.now() + 200 }, done),
    )
    await expect(answer).rejects.toMatchObject({ code: 4 })
    expect(await aborted).toMatchObject({ name: 'CallCancelledError', code: 1 })
  })
})
