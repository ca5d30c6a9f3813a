/**
 * The broker over one multiplexed connection: the dialling side knocks for a number, waits for the answer, and its
 * next stream belongs to that number. Streams without a knock go to the main server.
 *
 * @see hashicorp/go-plugin dd3617a, grpc_broker.go and internal/grpcmux
 * @module
 */
import type { Duplex } from 'node:stream'
import type { ConnInfo, ConnInfo_Knock } from '../gen/goplugin/broker.ts'
import { DIAL_OPTIONS, type FedServer, newFedServer } from '../grpc/grpc-server.ts'
import { BROKER_TIMEOUT_MS, type BrokeredServer, type BrokerParts, type ClosableBroker } from './broker.ts'
import type { BrokerLink } from './broker-link.ts'
import { newStreamBridge, type StreamBridge } from './stream-bridge.ts'
import type { StreamMuxer } from './yamux-session.ts'

/** What a multiplexed broker is made of. */
export interface MuxBrokerParts extends BrokerParts {
  /** Gives the session of the moment; `undefined` before the host has connected. */
  readonly muxer: () => StreamMuxer | undefined
}

/** A broker that also sorts incoming streams. */
export interface MuxBroker extends ClosableBroker {
  /**
   * Gives a stream that came in to the number that was knocked for.
   *
   * @param stream A stream the other side has opened.
   * @returns Whether it was for a number; otherwise it is for the main server.
   */
  readonly claim: (stream: Duplex) => boolean
}

/**
 * Makes a broker that shares the connection with everything else.
 *
 * @param parts See `MuxBrokerParts`.
 * @returns The broker.
 */
export function newMuxBroker(parts: MuxBrokerParts): MuxBroker {
  const { link, place, channelCredentials, serverCredentials, log } = parts
  const timeoutMs = parts.dialTimeoutMs ?? BROKER_TIMEOUT_MS
  const doors = new Doors(link, timeoutMs)
  const knocker = new Knocker(link, timeoutMs)
  const bridges = new Map<number, Promise<StreamBridge>>()
  link.onMessage((info) => {
    if (info.knock?.ack === true) knocker.answered(info.serviceId, info.knock)
    else if (info.knock?.knock === true) doors.knocked(info.serviceId)
  })
  const openStream = (serviceId: number): Promise<Duplex> =>
    knocker.inTurn(serviceId, () => {
      const muxer = parts.muxer()
      if (muxer === undefined) throw new Error(`broker id ${serviceId}: the host has not connected yet`)
      return muxer.open()
    })
  let lastId = 0
  return {
    dial: async (serviceId) => {
      let bridge = bridges.get(serviceId)
      if (bridge === undefined) {
        // The first stream is opened now, so that a number nobody serves fails here and not in the first call.
        const first = openStream(serviceId)
        bridge = first.then((stream) =>
          newStreamBridge(
            place,
            firstThen(stream, () => openStream(serviceId)),
          ),
        )
        bridges.set(serviceId, bridge)
        bridge.catch(() => bridges.delete(serviceId))
      }
      return { target: (await bridge).target, credentials: channelCredentials, options: DIAL_OPTIONS }
    },
    accept: (serviceId, services) => {
      const server = newFedServer(services, serverCredentials, log)
      return Promise.resolve(doors.open(serviceId, server))
    },
    nextId: () => ++lastId,
    claim: (stream) => doors.claim(stream),
    close: () => {
      knocker.close()
      doors.close()
      for (const bridge of bridges.values()) closeWhenOpen(bridge)
    },
  }
}

function closeWhenOpen(bridge: Promise<StreamBridge>): void {
  void bridge.then(
    (open) => open.close(),
    () => undefined,
  )
}

function firstThen(first: Duplex, open: () => Promise<Duplex>): () => Promise<Duplex> {
  let unused: Duplex | undefined = first
  return () => {
    const stream = unused
    unused = undefined
    return stream === undefined || stream.destroyed ? open() : Promise.resolve(stream)
  }
}

/** The numbers served here, and who has knocked for them. */
class Doors {
  readonly #link: BrokerLink
  readonly #timeoutMs: number
  readonly #servers = new Map<number, FedServer>()
  /** Numbers knocked for and answered: the next streams are theirs, in this order. */
  readonly #expected: number[] = []
  readonly #early = new Map<number, NodeJS.Timeout>()

  constructor(link: BrokerLink, timeoutMs: number) {
    this.#link = link
    this.#timeoutMs = timeoutMs
  }

  open(serviceId: number, server: FedServer): BrokeredServer {
    this.#servers.get(serviceId)?.close()
    this.#servers.set(serviceId, server)
    const early = this.#early.get(serviceId)
    if (early !== undefined) {
      clearTimeout(early)
      this.#early.delete(serviceId)
      this.#answer(serviceId, '')
    }
    return {
      close: () => {
        if (this.#servers.get(serviceId) === server) this.#servers.delete(serviceId)
        server.close()
      },
    }
  }

  knocked(serviceId: number): void {
    if (this.#servers.has(serviceId)) return this.#answer(serviceId, '')
    // Not served yet: the other side waits as long as this.
    const timer = setTimeout(() => {
      this.#early.delete(serviceId)
      this.#answer(serviceId, `no listener for id ${serviceId}`)
    }, this.#timeoutMs)
    clearTimeout(this.#early.get(serviceId))
    this.#early.set(serviceId, timer)
  }

  claim(stream: Duplex): boolean {
    const serviceId = this.#expected.shift()
    if (serviceId === undefined) return false
    const server = this.#servers.get(serviceId)
    if (server === undefined) stream.destroy()
    else server.feed(stream)
    return true
  }

  close(): void {
    for (const timer of this.#early.values()) clearTimeout(timer)
    for (const server of this.#servers.values()) server.close()
  }

  #answer(serviceId: number, error: string): void {
    if (error === '') this.#expected.push(serviceId)
    this.#link.send({ serviceId, network: '', address: '', knock: { knock: true, ack: true, error } })
  }
}

interface PendingKnock {
  readonly serviceId: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Knocks one at a time: the stream after an answer must be the one that was knocked for. */
class Knocker {
  readonly #link: BrokerLink
  readonly #timeoutMs: number
  #turn: Promise<unknown> = Promise.resolve()
  #pending: PendingKnock | undefined

  constructor(link: BrokerLink, timeoutMs: number) {
    this.#link = link
    this.#timeoutMs = timeoutMs
  }

  inTurn<T>(serviceId: number, open: () => T): Promise<T> {
    const mine = this.#turn.then(async () => {
      await this.#knock(serviceId)
      return open()
    })
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  answered(serviceId: number, knock: ConnInfo_Knock): void {
    const pending = this.#pending
    if (pending?.serviceId !== serviceId) return
    this.#pending = undefined
    if (knock.error === '') pending.resolve()
    else pending.reject(new Error(`broker id ${serviceId}: the other side refuses: ${knock.error}`))
  }

  close(): void {
    this.#pending?.reject(new Error('broker closed'))
    this.#pending = undefined
  }

  #knock(serviceId: number): Promise<void> {
    const message: ConnInfo = { serviceId, network: '', address: '', knock: { knock: true, ack: false, error: '' } }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending = undefined
        reject(new Error(`broker id ${serviceId}: no answer to a knock within ${this.#timeoutMs} ms`))
      }, this.#timeoutMs)
      const settle =
        <A extends unknown[]>(action: (...parts: A) => void) =>
        (...parts: A): void => {
          clearTimeout(timer)
          action(...parts)
        }
      this.#pending = { serviceId, resolve: settle(() => resolve()), reject: settle(reject) }
      this.#link.send(message)
    })
  }
}
