/**
 * Serves a plugin to a hashicorp go-plugin host: cookie, handshake, socket, lifetime.
 *
 * The socket is bound and the line is printed before gRPC is loaded: connections wait in a queue meanwhile, and the
 * host, which needs time to dial, loses none.
 *
 * @module
 */
import type { Socket } from 'node:net'
import type { PluginTls } from './auto-mtls.ts'
import type { Broker } from './broker.ts'
import type { GoPluginService } from './guarded-service.ts'
import { chooseVersion, formatHandshake, hasCookie, isTrue, type MagicCookie, notForHumans } from './handshake.ts'
import { type HclogLogger, newHclogLogger } from './hclog.ts'
import { newLifetime } from './lifetime.ts'
import { listen, listenPlace } from './listener.ts'
import { captureProcessOutput, OutputCapture } from './output-capture.ts'
import { ignoreHostSignals, logStrayErrors, onTerminate, trackChildren, watchParent } from './process-events.ts'
import { writeFully } from './stderr-writer.ts'

export type { GoPluginService } from './guarded-service.ts'

/** What a plugin's services are made with. */
export interface GoPluginContext {
  readonly broker: Broker
  readonly log: HclogLogger
}

/** How to serve a plugin. */
export interface GoPluginOptions {
  /** Name of the program, for the text a person sees who starts it by hand. */
  readonly name: string
  readonly cookie: MagicCookie
  /** Versions of the plugin's own protocol; default `[1]`. */
  readonly protocolVersions?: readonly number[]
  /**
   * Makes the services, once, right after the handshake line is out. Import what needs gRPC or time inside of it:
   * `services: async (context) => (await import('./services.ts')).services(context)`.
   */
  readonly services: (context: GoPluginContext) => readonly GoPluginService[] | Promise<readonly GoPluginService[]>
  /** Runs when the plugin ends, for at most a second. */
  readonly onShutdown?: () => Promise<void>
  /** Environment to obey; default `process.env`. */
  readonly env?: NodeJS.ProcessEnv
  /** `tcp` for hosts that cannot dial unix sockets; default `unix`, and `tcp` on Windows. */
  readonly transport?: 'unix' | 'tcp'
  /** How long the host may take to end the plugin after SIGTERM; default 15,000. */
  readonly terminateGraceMs?: number
}

/** A plugin that serves. */
export interface GoPluginServer {
  /** Resolves when the plugin has ended its services and removed its sockets. */
  readonly closed: Promise<void>
  /** Ends the plugin, as the host's request does. */
  readonly shutdown: () => Promise<void>
}

const DEFAULT_GRACE_MS = 15_000

/**
 * Serves the plugin until its host ends it; then the process exits.
 *
 * Started without the magic cookie, it prints a help text to stderr and exits with 1. When it cannot start, it logs
 * one error and exits with 1.
 *
 * @param options See `GoPluginOptions`.
 * @returns The running plugin, once it can serve calls.
 */
export async function serveGoPlugin(options: GoPluginOptions): Promise<GoPluginServer> {
  ignoreHostSignals()
  const env = options.env ?? process.env
  if (!hasCookie(env, options.cookie)) {
    writeFully(2, notForHumans(options.name))
    process.exit(1)
  }
  const killChildren = trackChildren()
  const capture = new OutputCapture()
  captureProcessOutput(capture)
  const log = newHclogLogger()
  logStrayErrors(log)
  const lifetime = newLifetime(options.onShutdown, log)
  lifetime.whenClosed(killChildren)
  const end = (): void => void lifetime.shutdown().then(() => process.exit(0))
  watchParent(end)
  onTerminate(options.terminateGraceMs ?? DEFAULT_GRACE_MS, log, end)
  try {
    await start(options, env, { capture, log, whenClosed: lifetime.whenClosed, end })
  } catch (error) {
    log.error('Plugin cannot start', { error })
    const printed = capture.drainForStderr()
    if (printed !== '') writeFully(2, printed)
    await lifetime.shutdown()
    process.exit(1)
  }
  return { closed: lifetime.closed, shutdown: lifetime.shutdown }
}

interface Surroundings {
  readonly capture: OutputCapture
  readonly log: HclogLogger
  readonly whenClosed: (action: () => void) => void
  readonly end: () => void
}

async function start(options: GoPluginOptions, env: NodeJS.ProcessEnv, around: Surroundings): Promise<void> {
  const { capture, log, whenClosed, end } = around
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
  writeFully(1, formatHandshake({ appVersion: version, network, address, serverCert, multiplex }))

  const { newGrpcRuntime } = await import('./grpc-runtime.ts')
  const services = async (broker: Broker): Promise<readonly GoPluginService[]> => options.services({ broker, log })
  const runtime = await newGrpcRuntime({
    log,
    capture,
    place,
    tls,
    multiplex: multiplex === true,
    services,
    shutdown: end,
  })
  whenClosed(() => runtime.close())
  queue.forward((socket) => runtime.handle(socket))
}

async function tlsFor(env: NodeJS.ProcessEnv): Promise<PluginTls | undefined> {
  const hostCert = env['PLUGIN_CLIENT_CERT'] ?? ''
  if (hostCert === '') return undefined
  const { newPluginTls } = await import('./auto-mtls.ts')
  return newPluginTls(hostCert)
}

/** Holds connections until gRPC is loaded, and knows all of them, so that none outlives the plugin. */
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
