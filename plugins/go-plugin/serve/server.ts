/**
 * A plugin served to the hashicorp go-plugin host that started this process, for as long as the host wants it.
 *
 * @module
 */

import { newHclogLogger } from '../log/hclog.ts'
import { writeFully } from '../log/stderr-writer.ts'
import { formatHandshake, type Handshake, hasCookie, notForHumans } from './handshake.ts'
import { newLifetime } from './lifetime.ts'
import { refuseNodeArguments } from './node-arguments.ts'
import { captureProcessOutput, OutputCapture } from './output-capture.ts'
import { endProcess } from './process-end.ts'
import { ignoreHostSignals, logStrayErrors, onTerminate, trackChildren, watchParent } from './process-events.ts'
import { type GoPluginOptions, startServing } from './serving.ts'

export type { GoPluginService } from '../grpc/guarded-service.ts'
export type { DescriptorSource } from '../grpc/reflection-answers.ts'
export type { GoPluginContext, GoPluginOptions } from './serving.ts'

/** A plugin that serves. */
export interface GoPluginServer {
  /** Resolves when the plugin has ended its services and removed its sockets. */
  readonly closed: Promise<void>
  /** Ends the plugin as the host's request does, and the process if it is the plugin's own. */
  readonly shutdown: () => Promise<void>
}

const DEFAULT_GRACE_MS = 15_000

/**
 * Serves the plugin until its host ends it; then the process exits.
 *
 * Started without the magic cookie, by a person, it prints a help text to stderr and exits with 1, or its version with
 * `--version`. When it cannot start, it logs one error and exits with 1.
 *
 * @param options See `GoPluginOptions`.
 * @returns The running plugin, once it can serve calls.
 */
export async function serveGoPlugin(options: GoPluginOptions): Promise<GoPluginServer> {
  ignoreHostSignals()
  const env = options.env ?? process.env
  if (!hasCookie(env, options.cookie)) answerPerson(options)
  const killChildren = trackChildren()
  const capture = new OutputCapture()
  captureProcessOutput(capture)
  const log = newHclogLogger()
  logStrayErrors(log)
  const lifetime = newLifetime(options.onShutdown, log)
  lifetime.whenClosed(killChildren)
  const shutdown = async (): Promise<void> => {
    await lifetime.shutdown()
    await endProcess()
  }
  const end = (): void => void shutdown()
  watchParent(end)
  onTerminate(options.terminateGraceMs ?? DEFAULT_GRACE_MS, log, end)
  try {
    refuseNodeArguments(process.argv.slice(2))
    await startServing(options, { env, capture, log, whenClosed: lifetime.whenClosed, end, announce: printHandshake })
  } catch (error) {
    log.error('Plugin cannot start', { error })
    const printed = capture.drainForStderr()
    if (printed !== '') writeFully(2, printed)
    await lifetime.shutdown()
    process.exit(1)
  }
  return { closed: lifetime.closed, shutdown }
}

function answerPerson({ name, hint, version }: GoPluginOptions): never {
  if (version !== undefined && process.argv[2] === '--version') {
    writeFully(1, `${name} ${version}\n`)
    process.exit(0)
  }
  writeFully(2, notForHumans(name, hint))
  process.exit(1)
}

function printHandshake(handshake: Handshake): void {
  writeFully(1, formatHandshake(handshake))
}
