/**
 * The host's one gRPC connection to a plugin: clients, broker, captured output.
 *
 * @module
 */
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { Channel } from '@grpc/grpc-js'
import { type Broker, type BrokerParts, type DialTarget, newSocketBroker } from '../broker/broker.ts'
import { newBrokerLink } from '../broker/broker-link.ts'
import { newMuxBroker } from '../broker/mux-broker.ts'
import { newStreamBridge } from '../broker/stream-bridge.ts'
import { newYamuxSession } from '../broker/yamux-session.ts'
import { type ConnInfo, GRPCBrokerClient } from '../gen/goplugin/broker.ts'
import { GRPCControllerClient } from '../gen/goplugin/controller.ts'
import { GRPCStdioClient, type StdioData } from '../gen/goplugin/stdio.ts'
import { DIAL_OPTIONS } from '../grpc/grpc-server.ts'
import { type HclogLogger, newHclogLogger } from '../log/hclog.ts'
import type { Handshake } from '../serve/handshake.ts'
import { type HostKeys, hostCredentials } from './host-keys.ts'

/** Constructor of a generated client. */
export type ClientConstructor<C> = new (
  address: string,
  credentials: DialTarget['credentials'],
  options?: DialTarget['options'],
) => C

/** A dialled plugin. */
export interface HostConnection {
  readonly target: DialTarget
  readonly broker: Broker
  readonly client: <C>(kind: ClientConstructor<C>) => C
  readonly printed: (channel: 1 | 2) => string
  /** Asks the plugin to end; resolves when it has answered or dropped the connection. */
  readonly requestShutdown: () => Promise<void>
  readonly close: () => void
}

/** What to dial and how. */
export interface ConnectOptions {
  readonly handshake: Handshake
  readonly keys: HostKeys | undefined
  readonly multiplex: boolean
  readonly readStdio: boolean
}

/**
 * Dials a plugin and opens the two streams that live as long as it does.
 *
 * @param options See `ConnectOptions`.
 * @returns The connection.
 * @throws {Error} The plugin's certificate does not parse.
 */
export async function connectHost(options: ConnectOptions): Promise<HostConnection> {
  const { handshake, keys } = options
  const secrets = hostCredentials(keys, handshake.serverCert)
  const place = { transport: handshake.network, folder: tmpdir(), group: undefined, ports: { min: 0, max: 0 } }
  const link = newBrokerLink()
  const parts = { link, place, log: silentLogger(), ...secrets }
  const line = options.multiplex ? await muxLine(handshake, parts) : socketLine(handshake, parts)
  const target = { target: line.target, credentials: secrets.channelCredentials, options: DIAL_OPTIONS }
  const clients = clientsOn(target)
  const endBroker = openBrokerStream(clients.client(GRPCBrokerClient), link)
  const stdio = options.readStdio ? openStdio(clients.client(GRPCStdioClient)) : undefined
  return {
    target,
    broker: line.broker,
    client: clients.client,
    printed: (channel) => stdio?.printed(channel) ?? '',
    requestShutdown: () =>
      new Promise((resolve) => {
        clients.client(GRPCControllerClient).shutdown({}, () => resolve())
      }),
    close: () => {
      endBroker()
      stdio?.end()
      clients.close()
      line.close()
    },
  }
}

/** How the plugin's address is reached, and the broker that goes with it. */
interface Line {
  readonly target: string
  readonly broker: Broker
  readonly close: () => void
}

function socketLine(handshake: Handshake, parts: BrokerParts): Line {
  const broker = newSocketBroker(parts)
  const target = handshake.network === 'unix' ? `unix:${handshake.address}` : handshake.address
  return { target, broker, close: () => broker.close() }
}

// One raw connection carries everything: grpc-js reaches it through a bridge.
async function muxLine(handshake: Handshake, parts: BrokerParts): Promise<Line> {
  const socket = createConnection(socketOptions(handshake))
  await once(socket, 'connect')
  const session = newYamuxSession(socket, 'client', (stream) => {
    if (!broker.claim(stream)) stream.destroy()
  })
  const broker = newMuxBroker({ ...parts, muxer: () => session })
  // The async function turns an ended session into a dropped connection.
  const bridge = await newStreamBridge(parts.place, async () => session.open())
  const close = (): void => {
    bridge.close()
    broker.close()
    session.close()
  }
  return { target: bridge.target, broker, close }
}

function socketOptions(handshake: Handshake): { path: string } | { host: string; port: number } {
  if (handshake.network === 'unix') return { path: handshake.address }
  const at = handshake.address.lastIndexOf(':')
  return { host: handshake.address.slice(0, at), port: Number(handshake.address.slice(at + 1)) }
}

function clientsOn(target: DialTarget): { client: <C>(kind: ClientConstructor<C>) => C; close: () => void } {
  const channel = new Channel(target.target, target.credentials, target.options)
  const made = new Map<unknown, unknown>()
  const client = <C>(kind: ClientConstructor<C>): C => {
    const known = made.get(kind)
    if (known instanceof kind) return known
    const fresh = new kind(target.target, target.credentials, { ...target.options, channelOverride: channel })
    made.set(kind, fresh)
    return fresh
  }
  return { client, close: () => channel.close() }
}

function openBrokerStream(client: GRPCBrokerClient, link: ReturnType<typeof newBrokerLink>): () => void {
  const call = client.startStream()
  const detach = link.attach(call)
  call.on('data', (info: ConnInfo) => link.received(info))
  // It ends with an error when the plugin does.
  call.on('error', detach)
  call.on('end', detach)
  return () => call.cancel()
}

function openStdio(client: GRPCStdioClient): { printed: (channel: 1 | 2) => string; end: () => void } {
  const call = client.streamStdio({})
  const chunks: StdioData[] = []
  call.on('data', (data: StdioData) => chunks.push(data))
  call.on('error', () => undefined)
  const printed = (channel: 1 | 2): string =>
    Buffer.concat(chunks.filter((chunk) => chunk.channel === channel).map((chunk) => chunk.data)).toString()
  return { printed, end: () => call.cancel() }
}

// The host of the tests logs nothing of its own; what matters is what its services answer.
function silentLogger(): HclogLogger {
  return newHclogLogger(() => undefined)
}
