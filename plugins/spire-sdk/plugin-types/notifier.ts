/**
 * Notifier: is told what happens to the trust bundle of spire-server. SPIRE deprecates the type: a new plugin should be a
 * BundlePublisher.
 *
 * @see spiffe/spire#7222
 * @module
 */
import type {
  NotifierServer,
  NotifyAndAdviseRequest,
  NotifyRequest,
} from '../gen/spire/plugin/server/notifier/v1/notifier.ts'
import type { Bundle } from '../gen/spire/plugin/types/bundle.ts'
import { type CallContext, unary } from '../runtime/call.ts'
import type { PluginService } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'

/** What the author of a Notifier writes. */
export interface Notifier<C> {
  /** Is told of a changed bundle; SPIRE only logs an error. */
  bundleUpdated?(bundle: Bundle, config: C, context: CallContext): Promise<void>
  /** Is told of the bundle SPIRE starts with; an error stops SPIRE. */
  bundleLoaded?(bundle: Bundle, config: C, context: CallContext): Promise<void>
}

/**
 * Makes the service of a Notifier. Events it does not know are answered with success, as SPIRE expects.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `Notifier`.
 */
export function notifier<C>(impl: Notifier<C>): PluginService<C> {
  return {
    name: 'spire.plugin.server.notifier.v1.Notifier',
    async bind(runtime) {
      const { NotifierService } = await import('../gen/spire/plugin/server/notifier/v1/notifier.ts')
      const implementation: NotifierServer = {
        notify: unary(runtime, 'Notify', async (request: NotifyRequest, config: C, context) => {
          const { event } = request
          if (event !== undefined) await impl.bundleUpdated?.(requireBundle(event.value), config, context)
          return {}
        }),
        notifyAndAdvise: unary(
          runtime,
          'NotifyAndAdvise',
          async (request: NotifyAndAdviseRequest, config: C, context) => {
            const { event } = request
            if (event !== undefined) await impl.bundleLoaded?.(requireBundle(event.value), config, context)
            return {}
          },
        ),
      }
      return { definition: NotifierService, implementation }
    },
  }
}

function requireBundle(event: { readonly bundle: Bundle | undefined }): Bundle {
  if (event.bundle === undefined) throw new RpcError('INVALID_ARGUMENT', 'event has no bundle')
  return event.bundle
}
