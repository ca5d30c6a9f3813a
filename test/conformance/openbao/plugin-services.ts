/**
 * What every plugin of OpenBao serves beside its type.
 *
 * @module
 */
import { type Metadata, status } from '@grpc/grpc-js'
import type { GoPluginService, HclogLogger } from '../../../plugins/go-plugin/index.ts'
import { serveUnary, type UnaryCall } from '../../../plugins/go-plugin/index.ts'
import { PluginMultiplexingService } from '../gen/openbao/multiplexing.ts'
import { PluginVersionService } from '../gen/openbao/version.ts'

/** Makes a handler; what it throws goes to the caller in full, as a test wants it. */
export type Answering = <Req, Res>(
  answer: (request: Req, call: UnaryCall) => Res | Promise<Res>,
) => ReturnType<typeof serveUnary<Req, Res>>

/**
 * Makes handlers that log what they throw.
 *
 * @param log Told of each failure.
 */
export function answeringWith(log: HclogLogger): Answering {
  return (answer) =>
    serveUnary(answer, (error) => {
      log.error('Handler failed', { error })
      return { code: status.INTERNAL, details: error instanceof Error ? error.message : String(error) }
    })
}

/** Makes the two small services: version and multiplexing. */
export function commonServices(pluginVersion: string, answering: Answering): GoPluginService[] {
  return [
    { definition: PluginVersionService, implementation: { version: answering(() => ({ pluginVersion })) } },
    {
      definition: PluginMultiplexingService,
      implementation: { multiplexingSupport: answering(() => ({ supported: true })) },
    },
  ]
}

/** Reads which mount a call is for: one process serves them all. */
export function mountOf(metadata: Metadata): string {
  return String(metadata.get('multiplex_id')[0] ?? 'single')
}
