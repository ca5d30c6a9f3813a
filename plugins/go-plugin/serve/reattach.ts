/**
 * A plugin served inside a running process, for tests and debuggers: no cookie, no handshake line, no signals, no exit.
 * The host finds it through a reattach configuration.
 *
 * @see hashicorp/go-plugin dd3617a, server.go (ServeTestConfig) and client.go (ReattachConfig)
 * @module
 */

import { newHclogLogger } from '../log/hclog.ts'
import type { Handshake } from './handshake.ts'
import { newLifetime } from './lifetime.ts'
import { OutputCapture } from './output-capture.ts'
import type { GoPluginServer } from './server.ts'
import { type GoPluginOptions, type Surroundings, startServing } from './serving.ts'

/** What a Go host puts into `plugin.ReattachConfig`. */
export interface ReattachConfig {
  readonly protocol: 'grpc'
  readonly protocolVersion: number
  readonly network: 'unix' | 'tcp'
  readonly address: string
  readonly pid: number
  /** The host must not kill this process. */
  readonly test: true
}

/** A plugin that serves inside this process. */
export interface ReattachableServer extends GoPluginServer {
  readonly reattach: ReattachConfig
}

/**
 * Serves a plugin to hosts that reattach. Neither AutoMTLS nor multiplexing goes with it, as in Go.
 *
 * @param options See `GoPluginOptions`; the cookie is not looked at.
 * @param writeLog Takes each log line, without line feed; by default it goes to stderr.
 * @returns The running plugin and where to find it.
 * @throws {Error} The socket cannot be bound, or the services cannot be made.
 */
export async function serveReattachable(
  options: GoPluginOptions,
  writeLog?: (line: string) => void,
): Promise<ReattachableServer> {
  const env = { ...(options.env ?? process.env), PLUGIN_CLIENT_CERT: '', PLUGIN_MULTIPLEX_GRPC: '' }
  const log = newHclogLogger(writeLog)
  const lifetime = newLifetime(options.onShutdown, log)
  let announced: Handshake | undefined
  const around: Surroundings = {
    env,
    log,
    capture: new OutputCapture(),
    whenClosed: lifetime.whenClosed,
    end: () => void lifetime.shutdown(),
    announce: (handshake) => {
      announced = handshake
    },
  }
  try {
    await startServing(options, around)
  } catch (error) {
    await lifetime.shutdown()
    throw error
  }
  if (announced === undefined) throw new Error('the plugin serves, but nobody knows where')
  const { appVersion: protocolVersion, network, address } = announced
  const reattach: ReattachConfig = {
    protocol: 'grpc',
    protocolVersion,
    network,
    address,
    pid: process.pid,
    test: true,
  }
  return { closed: lifetime.closed, shutdown: lifetime.shutdown, reattach }
}
