import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type HealthCheckResponse, HealthClient } from '../../../plugins/go-plugin/gen/grpc/health/v1/health.ts'
import { unary } from '../../../plugins/spire-sdk/testing/index.ts'
import { launchTrial, run, until } from './trial.ts'
import { TrialClient, type TrialResponse } from './trial-service.ts'

describe('the health service', () => {
  it('calls the plugin and the whole server serving, and knows no others [C17]', async () => {
    await using plugin = await launchTrial()
    const health = plugin.client(HealthClient)
    for (const service of ['plugin', '']) {
      expect(await unary((done) => health.check({ service }, done))).toEqual({ status: 1 })
    }
    const unknown = unary((done) => health.check({ service: 'nope' }, done))
    await expect(unknown).rejects.toMatchObject({ code: 5, details: 'unknown service' })
    const list = await unary((done) => health.list({}, done))
    expect(list).toEqual({ statuses: { '': { status: 1 }, plugin: { status: 1 } } })
  })

  it.each([
    ['plugin', 1],
    ['nope', 3],
  ])('tells a watcher of %s its state at once, and keeps the stream open [C17]', async (service, status) => {
    await using plugin = await launchTrial()
    const call = plugin.client(HealthClient).watch({ service })
    const [response] = (await once(call, 'data')) as [HealthCheckResponse]
    expect(response).toEqual({ status })
    await run(plugin, { action: 'echo' })
    expect(call.readableEnded).toBe(false)
    call.on('error', () => undefined)
    call.cancel()
  })
})

describe('calls to a plugin', () => {
  it('run a thousand at a time [C38]', { timeout: 60_000 }, async () => {
    await using plugin = await launchTrial()
    const client = plugin.client(TrialClient)
    const calls = Array.from({ length: 1000 }, () => client.chat())
    for (const [index, call] of calls.entries()) call.write({ action: 'echo', text: String(index) })
    const answers = await Promise.all(
      calls.map(async (call) => {
        const [answer] = (await once(call, 'data')) as [TrialResponse]
        return answer.text
      }),
    )
    expect(answers).toEqual(calls.map((_call, index) => String(index)))
    for (const call of calls) {
      call.on('error', () => undefined)
      call.end()
    }
  })

  it('lose nothing when the host cancels thousands of others, as SPIRE does after each answer [C38]', async () => {
    await using plugin = await launchTrial()
    const client = plugin.client(TrialClient)
    const held = client.chat()
    held.on('error', () => undefined)
    held.write({ action: 'echo', text: 'held' })
    await once(held, 'data')
    // HTTP/2 servers of Node.js give up a connection after a thousand quick cancellations: calls must survive that.
    const cancelled = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        const call = client.chat()
        const answered = once(call, 'data')
        call.write({ action: 'echo', text: 'x' })
        await answered
        call.on('error', () => undefined)
        call.cancel()
      }
    }
    await Promise.all(Array.from({ length: 32 }, cancelled))
    held.write({ action: 'echo', text: 'still' })
    expect(await once(held, 'data')).toEqual([{ text: 'still' }])
    await run(plugin, { action: 'accept', id: 4 })
    const { target, credentials, options } = await plugin.broker.dial(4)
    const brokered = new TrialClient(target, credentials, options)
    expect(await unary((done) => brokered.run({ action: 'echo', text: 'brokered' }, done))).toEqual({
      text: 'brokered',
    })
    brokered.close()
    held.cancel()
  })

  it.each([
    ['cancels', undefined],
    ['lets the deadline pass', 300],
  ])('stop working when the caller %s, without an error afterwards [C39]', async (_title, deadlineMs) => {
    await using plugin = await launchTrial()
    const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }
    const call = plugin.client(TrialClient).chat(options)
    const failed = once(call, 'error')
    failed.catch(() => undefined)
    call.on('error', () => undefined)
    call.write({ action: 'echo', text: 'hello' })
    await once(call, 'data')
    call.write({ action: 'hold' })
    await run(plugin, { action: 'echo' })
    if (deadlineMs === undefined) call.cancel()
    await until(() => plugin.logs.some((line) => line.message === 'Chat was given up'), 'the handler was told')
    await run(plugin, { action: 'echo' })
    expect(plugin.logs.filter((line) => line.level === 'error')).toEqual([])
  })

  it('keep the status a stream ends with: of a throw, of a return, of a half-close [C39]', async () => {
    await using plugin = await launchTrial()
    const status = async (action: string | undefined): Promise<number> => {
      const call = plugin.client(TrialClient).chat()
      call.on('error', () => undefined)
      call.resume()
      const ended = new Promise<number>((resolve) => {
        call.on('status', (end: { readonly code: number }) => resolve(end.code))
      })
      call.write({ action: 'echo' })
      if (action === undefined) call.end()
      else call.write({ action })
      return await ended
    }
    expect(await status('status')).toBe(7)
    expect(await status('throw')).toBe(13)
    expect(await status('end')).toBe(0)
    expect(await status(undefined)).toBe(0)
  })
})
