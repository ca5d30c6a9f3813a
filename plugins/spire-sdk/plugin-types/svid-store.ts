/**
 * SVIDStore: puts X509-SVIDs into a secret store, for workloads that cannot ask the agent.
 *
 * @module
 */
import type {
  DeleteX509SVIDRequest,
  PutX509SVIDRequest,
  SVIDStoreServer,
  X509SVID,
} from '../gen/spire/plugin/agent/svidstore/v1/svidstore.ts'
import { type CallContext, unary } from '../runtime/call.ts'
import type { PluginService } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'

/** What is to be stored, and where. */
export interface StoredSvid {
  /** Chain, key and bundle. The key is a secret: never log it. */
  readonly svid: X509SVID
  /** Values of the entry's selectors of this store. */
  readonly metadata: readonly string[]
  /** Trust domain to its certificates, DER. */
  readonly federatedBundles: Readonly<Record<string, Uint8Array>>
}

/** What the author of an SVIDStore writes. */
export interface SvidStore<C> {
  /** Stores an identity, or replaces it. */
  putX509Svid(stored: StoredSvid, config: C, context: CallContext): Promise<void>
  /** Removes what was stored under this metadata. */
  deleteX509Svid(metadata: readonly string[], config: C, context: CallContext): Promise<void>
}

/**
 * Makes the service of an SVIDStore.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `SVIDStore`.
 */
export function svidStore<C>(impl: SvidStore<C>): PluginService<C> {
  return {
    name: 'spire.plugin.agent.svidstore.v1.SVIDStore',
    async bind(runtime) {
      const { SVIDStoreService } = await import('../gen/spire/plugin/agent/svidstore/v1/svidstore.ts')
      const implementation: SVIDStoreServer = {
        putX509Svid: unary(runtime, 'PutX509SVID', async (request: PutX509SVIDRequest, config: C, context) => {
          const { svid, metadata, federatedBundles } = request
          if (svid === undefined) throw new RpcError('INVALID_ARGUMENT', 'svid is required')
          await impl.putX509Svid({ svid, metadata, federatedBundles }, config, context)
          return {}
        }),
        deleteX509Svid: unary(runtime, 'DeleteX509SVID', async (request: DeleteX509SVIDRequest, config: C, context) => {
          await impl.deleteX509Svid(request.metadata, config, context)
          return {}
        }),
      }
      return { definition: SVIDStoreService, implementation }
    },
  }
}
