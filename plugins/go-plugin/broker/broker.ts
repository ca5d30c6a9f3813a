/**
 * The broker: how host and plugin open further connections to each other, by numbers agreed elsewhere.
 *
 * The side that listens announces its socket on one long stream; the other side dials it.
 *
 * @see hashicorp/go-plugin dd3617a, grpc_broker.go
 * @module
 */
import type { ChannelCredentials, ChannelOptions, ServerCredentials } from '@grpc/grpc-js'
import type { ConnInfo } from '../gen/goplugin/broker.ts'
import { DIAL_OPTIONS, newFedServer } from '../grpc/grpc-server.ts'
import type { GoPluginService } from '../grpc/guarded-service.ts'
import { type ListenPlace, listen } from '../grpc/listener.ts'
import type { HclogLogger } from '../log/hclog.ts'
import type { BrokerLink } from './broker-link.ts'

/** Arguments for the constructor of a generated client. */
export interface DialTarget {
  readonly target: string
  readonly credentials: ChannelCredentials
  readonly options: ChannelOptions
}

/** Services of ours that the other side may dial. */
export interface BrokeredServer {
  /** Stops serving and removes the socket. */
  close(): void
}

/** The way to the other side of the plugin boundary. */
export interface Broker {
  /**
   * Finds out where the other side serves a number. May be asked any number of times and any time later.
   *
   * @param serviceId Number the other side accepts; SPIRE serves its host services on 1.
   * @returns Arguments for a generated client.
   * @throws {Error} Nothing was announced within 5 seconds, or it cannot be dialled.
   */
  dial(serviceId: number): Promise<DialTarget>
  /**
   * Serves to the other side under a number and announces it.
   *
   * @param serviceId Number the other side will dial.
   * @param services What to serve there.
   * @returns Handle to stop serving.
   * @throws {Error} The socket cannot be bound.
   */
  accept(serviceId: number, services: readonly GoPluginService[]): Promise<BrokeredServer>
  /** Returns a number that this side has not used yet, from 1 up. */
  nextId(): number
}

/** A broker together with its end. */
export interface ClosableBroker extends Broker {
  close(): void
}

/** What a broker is made of. */
export interface BrokerParts {
  readonly link: BrokerLink
  /** Where `accept` listens. */
  readonly place: ListenPlace
  readonly serverCredentials: ServerCredentials
  readonly channelCredentials: ChannelCredentials
  readonly log: HclogLogger
  /** How long `dial` waits for the announcement; 5000 as in Go. */
  readonly dialTimeoutMs?: number
}

/** hashicorp's own wait, on both sides. */
export const BROKER_TIMEOUT_MS = 5000
/** Announcements remembered; far above what any host makes, and a bound for a host that never stops. */
const MAX_ANNOUNCED = 10_000

/**
 * Makes a broker that opens one socket for each accepted number.
 *
 * @param parts See `BrokerParts`.
 * @returns The broker; `close` ends its servers and fails its waits.
 */
export function newSocketBroker(parts: BrokerParts): ClosableBroker {
  const { link, place, log } = parts
  const announced = new Announcements(parts.dialTimeoutMs ?? BROKER_TIMEOUT_MS)
  const servers = new Set<BrokeredServer>()
  link.onMessage((info) => announced.add(info))
  let lastId = 0
  return {
    dial: async (serviceId) => {
      const info = await announced.wait(serviceId)
      return { target: targetOf(info), credentials: parts.channelCredentials, options: DIAL_OPTIONS }
    },
    accept: async (serviceId, services) => {
      const server = newFedServer(services, parts.serverCredentials, log)
      const listener = await listen(place, (socket) => server.feed(socket))
      const brokered: BrokeredServer = {
        close: () => {
          servers.delete(brokered)
          listener.close()
          server.close()
        },
      }
      servers.add(brokered)
      link.send({ serviceId, network: listener.network, address: listener.address, knock: undefined })
      return brokered
    },
    nextId: () => ++lastId,
    close: () => {
      announced.close()
      for (const server of servers) server.close()
    },
  }
}

function targetOf(info: ConnInfo): string {
  if (info.network === 'unix') return `unix:${info.address}`
  if (info.network === 'tcp') return info.address
  throw new Error(
    `broker id ${info.serviceId}: unknown address type ${JSON.stringify(info.network)}, expected unix or tcp`,
  )
}

interface Waiter {
  readonly resolve: (info: ConnInfo) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** What the other side has announced. Go forgets it after 5 seconds; nothing is lost by remembering. */
class Announcements {
  readonly #timeoutMs: number
  readonly #known = new Map<number, ConnInfo>()
  readonly #waiters = new Map<number, Set<Waiter>>()
  #closed = false

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  add(info: ConnInfo): void {
    this.#known.delete(info.serviceId)
    this.#known.set(info.serviceId, info)
    if (this.#known.size > MAX_ANNOUNCED) this.#known.delete(this.#known.keys().next().value ?? 0)
    this.#settle(info.serviceId, (waiter) => waiter.resolve(info))
  }

  wait(serviceId: number): Promise<ConnInfo> {
    const info = this.#known.get(serviceId)
    if (info !== undefined) return Promise.resolve(info)
    if (this.#closed) return Promise.reject(new Error('broker closed'))
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(serviceId) ?? new Set()
      this.#waiters.set(serviceId, waiters)
      const timer = setTimeout(() => {
        waiters.delete(waiter)
        reject(new Error(noAnnouncement(serviceId, this.#timeoutMs)))
      }, this.#timeoutMs)
      const waiter = { resolve, reject, timer }
      waiters.add(waiter)
    })
  }

  close(): void {
    this.#closed = true
    for (const serviceId of this.#waiters.keys()) {
      this.#settle(serviceId, (waiter) => waiter.reject(new Error('broker closed')))
    }
  }

  #settle(serviceId: number, action: (waiter: Waiter) => void): void {
    const waiters = this.#waiters.get(serviceId) ?? []
    this.#waiters.delete(serviceId)
    for (const waiter of waiters) {
      clearTimeout(waiter.timer)
      action(waiter)
    }
  }
}

function noAnnouncement(serviceId: number, timeoutMs: number): string {
  return `broker id ${serviceId}: no connection info within ${timeoutMs} ms; the other side must accept that id first`
}
