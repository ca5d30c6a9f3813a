/**
 * A plugin that is started as a go-plugin host does, and ended the same way.
 *
 * @see hashicorp/go-plugin dd3617a, client.go (Start, Kill) and grpc_client.go
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { Broker, BrokeredServer, DialTarget } from '../broker/broker.ts'
import type { GoPluginService } from '../grpc/guarded-service.ts'
import type { Handshake } from '../serve/handshake.ts'
import { type ClientConstructor, connectHost, type HostConnection } from './host-connection.ts'
import { makeHostKeys } from './host-keys.ts'
import type { HostLogEntry } from './host-log.ts'
import {
  type ExitStatus,
  type LaunchOptions,
  type PluginOutput,
  readHandshake,
  spawnPlugin,
  watchOutput,
} from './plugin-spawn.ts'

export type { ClientConstructor } from './host-connection.ts'
export type { ExitStatus, LaunchOptions } from './plugin-spawn.ts'

/** A plugin that runs and was dialled. */
export interface PluginProcess {
  readonly pid: number
  readonly child: ChildProcess
  /** The line as printed, without its line feed. */
  readonly handshakeLine: string
  readonly handshake: Handshake
  /** Milliseconds from spawn to the handshake line. */
  readonly startMs: number
  /** Arguments for a client with a connection of its own; `client` shares the host's one connection. */
  readonly connection: DialTarget
  /** Everything on stderr so far, as the host would log it. */
  readonly logs: readonly HostLogEntry[]
  /** What came on stdout after the handshake line; a correct plugin leaves it empty. */
  readonly stdoutRest: () => string
  /** What the plugin's code printed, by channel: 1 stdout, 2 stderr. */
  readonly printed: (channel: 1 | 2) => string
  readonly broker: Broker
  /** Makes a generated client, once per kind, on the host's connection. */
  readonly client: <C>(kind: ClientConstructor<C>) => C
  /** Serves to the plugin under a broker id, as SPIRE serves its host services under 1. */
  readonly serveHostServices: (serviceId: number, services: readonly GoPluginService[]) => Promise<BrokeredServer>
  /** Resolves when the process has ended and both of its pipes are at their end, which is what a Go host waits for. */
  readonly exited: Promise<ExitStatus>
  /** Ends the plugin as Go's `Kill`: Shutdown, two seconds, SIGKILL. */
  readonly shutdown: () => Promise<ExitStatus & { readonly forced: boolean }>
  /** Kills the process at once, waits for its end, and removes the socket it leaves behind. */
  readonly kill: () => Promise<ExitStatus>
}

/** A plugin that ended, or was not understood, before it could be dialled. */
export class PluginStartError extends Error {
  override readonly name = 'PluginStartError'
  readonly exit: ExitStatus | undefined
  readonly stdout: string
  readonly stderr: string

  constructor(message: string, output: PluginOutput, exit: ExitStatus | undefined) {
    super(message)
    this.exit = exit
    this.stdout = output.stdout()
    this.stderr = output.stderr()
  }
}

const DEFAULT_START_TIMEOUT_MS = 60_000
/** How long Go waits after Shutdown before it kills. */
const KILL_AFTER_MS = 2000

/**
 * Starts a plugin, reads its handshake, dials it, and opens the broker's and the stdio stream.
 *
 * @param options See `LaunchOptions`.
 * @returns The running plugin; the caller ends it with `shutdown` or `kill`.
 * @throws {PluginStartError} It ended early, printed no handshake in time, or printed another line.
 */
export async function launchPlugin(options: LaunchOptions): Promise<PluginProcess> {
  const startedAt = performance.now()
  const keys = options.autoMtls === true ? makeHostKeys() : undefined
  const child = spawnPlugin(options, keys)
  const output = watchOutput(child)
  try {
    const timeoutMs = options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS
    const { line, handshake } = await readHandshake(output, timeoutMs, options.protocolVersions ?? [1])
    const startMs = performance.now() - startedAt
    const multiplex = options.multiplex === true
    if (multiplex && handshake.multiplex !== true) throw new Error('the plugin does not multiplex, but the host asked')
    const connection = await connectHost({ handshake, keys, multiplex, readStdio: options.readStdio !== false })
    return pluginProcess({ child, output, line, handshake, startMs, connection })
  } catch (error) {
    child.kill('SIGKILL')
    const exit = await output.exited
    const message = error instanceof Error ? error.message : String(error)
    throw new PluginStartError(message, output, output.endedByItself() ? exit : undefined)
  }
}

interface ProcessParts {
  readonly child: ChildProcess
  readonly output: PluginOutput
  readonly line: string
  readonly handshake: Handshake
  readonly startMs: number
  readonly connection: HostConnection
}

function pluginProcess(parts: ProcessParts): PluginProcess {
  const { child, output, line, handshake, startMs, connection } = parts
  const exited = output.exited.finally(() => connection.close())
  return {
    pid: child.pid ?? 0,
    child,
    handshakeLine: line,
    handshake,
    startMs,
    connection: connection.target,
    logs: output.logs,
    stdoutRest: output.stdoutRest,
    printed: connection.printed,
    broker: connection.broker,
    client: connection.client,
    serveHostServices: (serviceId, services) => connection.broker.accept(serviceId, services),
    exited,
    shutdown: () => shutdown(child, connection, exited),
    kill: async () => {
      child.kill('SIGKILL')
      const exit = await exited
      // It had no chance to do this itself.
      if (handshake.network === 'unix') rmSync(handshake.address, { force: true })
      return exit
    },
  }
}

async function shutdown(
  child: ChildProcess,
  connection: HostConnection,
  exited: Promise<ExitStatus>,
): Promise<ExitStatus & { readonly forced: boolean }> {
  // Go sends it without a deadline and ignores its error: the plugin may drop the connection instead of answering.
  await connection.requestShutdown()
  connection.close()
  let forced = false
  const timer = setTimeout(() => {
    forced = child.exitCode === null && child.signalCode === null
    child.kill('SIGKILL')
  }, KILL_AFTER_MS)
  const exit = await exited
  clearTimeout(timer)
  return { ...exit, forced }
}
