import { existsSync, readdirSync } from 'node:fs'
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { type ClosableBroker, newSocketBroker } from '../../../../plugins/go-plugin/broker/broker.ts'
import { type AttachableLink, newBrokerLink } from '../../../../plugins/go-plugin/broker/broker-link.ts'
import type { ConnInfo } from '../../../../plugins/go-plugin/gen/goplugin/broker.ts'
import type { GoPluginService } from '../../../../plugins/go-plugin/grpc/guarded-service.ts'
import { serveUnary } from '../../../../plugins/go-plugin/grpc/unary.ts'
import { newHclogLogger } from '../../../../plugins/go-plugin/log/hclog.ts'
import { unary } from '../../../../plugins/spire-sdk/testing/index.ts'
import { TRIAL, TrialClient, type TrialRequest, type TrialResponse } from '../../../plugin/go-plugin/trial-service.ts'
import { newPlace } from '../in-process.ts'

function newBroker(link: AttachableLink, place = newPlace()): ClosableBroker {
  return newSocketBroker({
    link,
    place,
    serverCredentials: ServerCredentials.createInsecure(),
    channelCredentials: ChannelCredentials.createInsecure(),
    log: newHclogLogger(() => undefined),
    dialTimeoutMs: 100,
  })
}

/** Two links whose messages reach each other. */
function newLinks(): readonly [AttachableLink, AttachableLink] {
  const [a, b] = [newBrokerLink(), newBrokerLink()]
  a.attach({ write: (info) => b.received(info) })
  b.attach({ write: (info) => a.received(info) })
  return [a, b]
}

function named(name: string): readonly GoPluginService[] {
  const run = serveUnary<TrialRequest, TrialResponse>(
    (request) => ({ text: `${name}(${request.text})` }),
    () => ({ code: 13, details: '' }),
  )
  return [{ definition: { run: TRIAL.run }, implementation: { run } }]
}

async function ask(broker: ClosableBroker, id: number, text: string): Promise<string> {
  const { target, credentials, options } = await broker.dial(id)
  const client = new TrialClient(target, credentials, options)
  const { text: answer } = await unary<TrialResponse>((done) => client.run({ action: 'x', text }, done))
  client.close()
  return answer
}

describe('newSocketBroker', () => {
  it('connects each number to its own services, both ways [C28]', async () => {
    const [a, b] = newLinks()
    const [left, right] = [newBroker(a), newBroker(b)]
    for (const id of [1, 2, 3]) {
      await left.accept(id, named(`left${id}`))
      await right.accept(id, named(`right${id}`))
    }
    const asked = [1, 2, 3].flatMap((id) => [ask(left, id, 'l'), ask(right, id, 'r')])
    expect(await Promise.all(asked)).toEqual([
      'right1(l)',
      'left1(r)',
      'right2(l)',
      'left2(r)',
      'right3(l)',
      'left3(r)',
    ])
    left.close()
    right.close()
  })

  it('waits for a number that is announced later, however many wait [C27]', async () => {
    const [a, b] = newLinks()
    const [left, right] = [newBroker(a), newBroker(b)]
    const asked = ['x', 'y'].map((text) => ask(left, 7, text))
    await right.accept(7, named('seven'))
    expect(await Promise.all(asked)).toEqual(['seven(x)', 'seven(y)'])
    left.close()
    right.close()
  })

  it('gives up on a number nobody serves [C27]', async () => {
    const broker = newBroker(newBrokerLink())
    await expect(broker.dial(9)).rejects.toThrow(
      'broker id 9: no connection info within 100 ms; the other side must accept that id first',
    )
    broker.close()
  })

  it('refuses an address it cannot dial', async () => {
    const link = newBrokerLink()
    const broker = newBroker(link)
    link.received({ serviceId: 4, network: 'pipe', address: 'x', knock: undefined })
    await expect(broker.dial(4)).rejects.toThrow('broker id 4: unknown address type "pipe", expected unix or tcp')
    broker.close()
  })

  it('fails what waits, removes its sockets, and dials no more when it is closed', async () => {
    const place = newPlace()
    const broker = newBroker(newBrokerLink(), place)
    await broker.accept(1, named('one'))
    expect(readdirSync(place.folder)).toHaveLength(1)
    const waiting = broker.dial(5)
    broker.close()
    await expect(waiting).rejects.toThrow('broker closed')
    await expect(broker.dial(6)).rejects.toThrow('broker closed')
    expect(readdirSync(place.folder)).toEqual([])
  })

  it('stops serving one number alone', async () => {
    const place = newPlace()
    const sent: ConnInfo[] = []
    const link = newBrokerLink()
    link.attach({ write: (info) => sent.push(info) })
    const broker = newBroker(link, place)
    const first = await broker.accept(1, named('one'))
    await broker.accept(2, named('two'))
    first.close()
    expect(sent.map((info) => existsSync(info.address))).toEqual([false, true])
    broker.close()
  })

  it('counts its own numbers from 1', () => {
    const broker = newBroker(newBrokerLink())
    expect([broker.nextId(), broker.nextId()]).toEqual([1, 2])
    broker.close()
  })
})

function offer(serviceId: number): ConnInfo {
  return { serviceId, network: 'unix', address: '/x', knock: undefined }
}

describe('newBrokerLink', () => {
  it('keeps messages until a stream opens, and uses the newest stream that is open', () => {
    const link = newBrokerLink()
    const written: string[] = []
    const call = (name: string): { write: (message: ConnInfo) => unknown } => ({
      write: (message) => written.push(`${name}${message.serviceId}`),
    })
    link.send(offer(1))
    const detachA = link.attach(call('a'))
    const detachB = link.attach(call('b'))
    link.send(offer(2))
    detachB()
    link.send(offer(3))
    detachA()
    detachA()
    link.send(offer(4))
    link.attach(call('c'))
    expect(written).toEqual(['a1', 'b2', 'a3', 'c4'])
  })
})
