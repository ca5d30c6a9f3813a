/**
 * A plugin's socket: bound, announced, and served on.
 *
 * The socket is bound and announced before gRPC is loaded: connections wait in a queue meanwhile, and the host, which
 * needs time to dial, loses none.
 *
 * @module
 */
import type { Socket } from 'node:net'
import type { Broker } from '../broker/broker.ts'
import type { GoPluginService } from '../grpc/guarded-service.ts'
import { listen, listenPlace } from '../grpc/listener.ts'
import type { DescriptorSource } from '../grpc/reflection-answers.ts'
import type { HclogLogger } from '../log/hclog.ts'
import type { PluginTls } from '../tls/auto-mtls.ts'
import { chooseVersion, type Handshake, isTrue, type MagicCookie } from './handshake.ts'
import type { OutputCapture } from './output-capture.ts'

/** What a plugin's services are made with. */
export interface GoPluginContext {
  readonly broker: Broker
  readonly log: HclogLogger
  /**
   * Version of the plugin's own protocol that the host will speak: one of `protocolVersions`. A host that knows none of
   * them leaves after the handshake.
   */
  readonly protocolVersion: number
}

/** How to serve a plugin. */
export interface GoPluginOptions {
  /** Name of the program, for the text a person sees who starts it by hand. */
  readonly name: string
  /** What that person should do instead, one sentence; default: name it in the configuration of its host. */
  readonly hint?: string | undefined
  /** Version of the program; with it `--version`, by hand, prints name and version. */
  readonly version?: string | undefined
  readonly cookie: MagicCookie
  /** Versions of the plugin's own protocol; default `[1]`. */
  readonly protocolVersions?: readonly number[]
  /**
   * Makes the services, once, right after the handshake line is out. Import what needs gRPC or time inside of it:
   * `services: async (context) => (await import('./services.ts')).services(context)`.
   */
  readonly services: (context: GoPluginContext) => readonly GoPluginService[] | Promise<readonly GoPluginService[]>
  /** Descriptors of the plugin's own services, so that tools such as grpcurl can describe and call them. */
  readonly descriptors?: DescriptorSource | readonly DescriptorSource[] | undefined
  /** Runs when the plugin ends, for at most a second. */
  readonly onShutdown?: () => Promise<void>
  /** Environment to obey; default `process.env`. */
  readonly env?: NodeJS.ProcessEnv
  /** `tcp` for hosts that cannot dial unix sockets; default `unix`, and `tcp` on Windows. */
  readonly transport?: 'unix' | 'tcp'
  /** How long the host may take to end the plugin after SIGTERM; default 15,000. */
  readonly terminateGraceMs?: number
}

/** What a plugin is started with, besides its options. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  readonly capture: OutputCapture
  readonly log: HclogLogger
  readonly whenClosed: (action: () => void) => void
  /** Called when the host asks the plugin to end. */
  readonly end: () => void
  /** Tells the host where to dial; called once, when the socket is bound. */
  readonly announce: (handshake: Handshake) => void
}

/**
 * Starts serving.
 *
 * @param options What to serve.
 * @param around See `Surroundings`.
 * @throws {Error} The socket cannot be bound, the host's certificate does not parse, or the services cannot be made.
 */
export async function startServing(options: GoPluginOptions, around: Surroundings): Promise<void> {
  const { env, capture, log, whenClosed, end, announce } = around
  const { version, garbage } = chooseVersion(env['PLUGIN_PROTOCOL_VERSIONS'], options.protocolVersions ?? [1])
  if (garbage.length > 0) log.warn('Protocol versions of the host are no numbers', { versions: garbage.join(',') })
  const place = listenPlace(env, options.transport ?? (process.platform === 'win32' ? 'tcp' : 'unix'))
  const tls = await tlsFor(env)
  const queue = new ConnectionQueue()
  const listener = await listen(place, (socket) => queue.add(socket))
  whenClosed(() => {
    listener.close()
    queue.destroyAll()
  })
  const asked = env['PLUGIN_MULTIPLEX_GRPC'] ?? ''
  // Any text asks for the seventh field; only a true value, in Go's spelling, turns multiplexing on.
  const multiplex = asked === '' ? undefined : isTrue(asked)
  const { network, address } = listener
  const serverCert = tls?.encodedCert ?? ''
  announce({ appVersion: version, network, address, serverCert, multiplex })

  const { newGrpcRuntime } = await import('./grpc-runtime.ts')
  const services = async (broker: Broker): Promise<readonly GoPluginService[]> =>
    options.services({ broker, log, protocolVersion: version })
  const runtime = await newGrpcRuntime({
    log,
    capture,
    place,
    tls,
    multiplex: multiplex === true,
    services,
    descriptors: [options.descriptors ?? []].flat(),
    shutdown: end,
  })
  whenClosed(() => runtime.close())
  queue.forward((socket) => runtime.handle(socket))
}

async function tlsFor(env: NodeJS.ProcessEnv): Promise<PluginTls | undefined> {
  const hostCert = env['PLUGIN_CLIENT_CERT'] ?? ''
  if (hostCert === '') return undefined
  const { newPluginTls } = await import('../tls/auto-mtls.ts')
  return newPluginTls(hostCert)
}

/** Queue of connections until gRPC is loaded; it knows all of them, so that none outlives the plugin. */
class ConnectionQueue {
  readonly #open = new Set<Socket>()
  #handle: ((socket: Socket) => void) | undefined

  add(socket: Socket): void {
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    // A host may go away at any moment; whoever serves the connection sees its end.
    socket.on('error', () => undefined)
    this.#handle?.(socket)
  }

  forward(handle: (socket: Socket) => void): void {
    this.#handle = handle
    for (const socket of this.#open) handle(socket)
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy()
  }
}
