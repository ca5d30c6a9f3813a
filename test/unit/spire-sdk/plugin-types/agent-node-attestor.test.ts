import { describe, expect, it } from 'vitest'
import {
  NodeAttestorClient,
  type PayloadOrChallengeResponse,
} from '../../../../plugins/spire-sdk/gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts'
import { type AgentNodeAttestor, agentNodeAttestor, RpcError } from '../../../../plugins/spire-sdk/index.ts'
import { type Served, serveInProcess } from '../in-process.ts'

const serve = (impl: AgentNodeAttestor<undefined>): Promise<Served> =>
  serveInProcess({ services: [agentNodeAttestor(impl)] })

/** Opens a stream and records what comes; `message` resolves with the next message or the status that ends it. */
function open(plugin: Served) {
  const call = plugin.client(NodeAttestorClient).aidAttestation()
  const queue: (PayloadOrChallengeResponse | string)[] = []
  let wake = Promise.withResolvers<void>()
  const add = (item: PayloadOrChallengeResponse | string): void => {
    queue.push(item)
    wake.resolve()
  }
  call.on('data', (message: PayloadOrChallengeResponse) => add(message))
  call.on('error', () => undefined)
  call.on('status', ({ code, details }) => add(`${code} ${details}`))
  return {
    call,
    challenge: (text: string) => call.write({ challenge: Buffer.from(text) }),
    received: () => queue.length,
    async message() {
      while (queue.length === 0) {
        await wake.promise
        wake = Promise.withResolvers<void>()
      }
      return queue.shift()
    },
  }
}

describe('agentNodeAttestor', () => {
  it('speaks first and answers each challenge until SPIRE cancels, which is no error [C52]', async () => {
    const ended = Promise.withResolvers<unknown>()
    await using plugin = await serve({
      async aidAttestation(stream) {
        await stream.sendPayload(Buffer.from('payload'))
        for (;;) {
          const challenge = await stream.receiveChallenge()
          if (challenge === undefined) break
          await stream.respond(Buffer.from(`re:${Buffer.from(challenge).toString()}`))
        }
        ended.resolve('quietly')
      },
    })
    const stream = open(plugin)
    expect(await stream.message()).toEqual({ data: { $case: 'payload', value: Buffer.from('payload') } })
    for (const text of ['one', 'two', 'three']) {
      stream.challenge(text)
      expect(await stream.message()).toEqual({ data: { $case: 'challengeResponse', value: Buffer.from(`re:${text}`) } })
    }
    stream.call.cancel()
    expect(await ended.promise).toBe('quietly')
    expect(plugin.logs).toEqual([])
  })

  it('may end after the payload', async () => {
    await using plugin = await serve({ aidAttestation: (stream) => stream.sendPayload(Buffer.from('all')) })
    const stream = open(plugin)
    expect(await stream.message()).toMatchObject({ data: { $case: 'payload' } })
    expect(await stream.message()).toBe('0 OK')
  })

  it('tells an error before the payload at once, for SPIRE is listening', async () => {
    await using plugin = await serve({
      aidAttestation: () => Promise.reject(new RpcError('UNAVAILABLE', 'keylime agent is not up')),
    })
    expect(await open(plugin).message()).toBe('14 keylime agent is not up')
  })

  it('keeps an error after the payload until SPIRE has sent its challenge [C52]', async () => {
    const failed = Promise.withResolvers<void>()
    await using plugin = await serve({
      async aidAttestation(stream) {
        await stream.sendPayload(Buffer.from('payload'))
        failed.resolve()
        throw new RpcError('UNAVAILABLE', 'keylime agent went away')
      },
    })
    const stream = open(plugin)
    expect(await stream.message()).toMatchObject({ data: { $case: 'payload' } })
    await failed.promise
    // What a later stream gets over the same connection comes after all that was sent for this one.
    await open(plugin).message()
    expect(stream.received()).toBe(0)
    stream.challenge('c')
    expect(await stream.message()).toBe('14 keylime agent went away')
  })

  it('does not wait when the error answers a challenge', async () => {
    await using plugin = await serve({
      async aidAttestation(stream) {
        await stream.sendPayload(Buffer.from('payload'))
        await stream.receiveChallenge()
        throw new RpcError('UNAVAILABLE', 'no quote')
      },
    })
    const stream = open(plugin)
    await stream.message()
    stream.challenge('c')
    expect(await stream.message()).toBe('14 no quote')
  })

  it('refuses to send an empty payload, which SPIRE takes for none', async () => {
    await using plugin = await serve({ aidAttestation: (stream) => stream.sendPayload(new Uint8Array()) })
    expect(await open(plugin).message()).toBe('13 internal error')
    expect(plugin.logs).toMatchObject([{ error: 'payload is empty, which SPIRE takes for a missing one' }])
  })

  it('sends a view of a larger buffer as what it shows', async () => {
    const whole = new Uint8Array([1, 2, 3, 4, 5])
    await using plugin = await serve({ aidAttestation: (stream) => stream.sendPayload(whole.subarray(1, 4)) })
    expect(await open(plugin).message()).toEqual({ data: { $case: 'payload', value: Buffer.from([2, 3, 4]) } })
  })
})
