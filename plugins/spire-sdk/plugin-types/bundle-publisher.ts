/**
 * BundlePublisher: puts the trust bundle of spire-server where others fetch it.
 *
 * @module
 */
import type {
  BundlePublisherServer,
  PublishBundleRequest,
} from '../gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts'
import type { Bundle } from '../gen/spire/plugin/types/bundle.ts'
import { type CallContext, unary } from '../runtime/call.ts'
import type { PluginService } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'

/** What the author of a BundlePublisher writes. */
export interface BundlePublisher<C> {
  /** Stores the bundle; SPIRE tries again after an error. */
  publishBundle(bundle: Bundle, config: C, context: CallContext): Promise<void>
}

/**
 * Makes the service of a BundlePublisher.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `BundlePublisher`.
 */
export function bundlePublisher<C>(impl: BundlePublisher<C>): PluginService<C> {
  return {
    name: 'spire.plugin.server.bundlepublisher.v1.BundlePublisher',
    async bind(runtime) {
      const { BundlePublisherService } = await import(
        '../gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts'
      )
      const publishBundle = unary(
        runtime,
        'PublishBundle',
        async (request: PublishBundleRequest, config: C, context) => {
          if (request.bundle === undefined) throw new RpcError('INVALID_ARGUMENT', 'bundle is required')
          await impl.publishBundle(request.bundle, config, context)
          return {}
        },
      )
      const implementation: BundlePublisherServer = { publishBundle }
      return { definition: BundlePublisherService, implementation }
    },
  }
}
