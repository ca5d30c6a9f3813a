/**
 * The agent half as SPIRE loads it: one service, one builder for Configure and Validate.
 *
 * What attests and what speaks to Keylime or the TPM is loaded by Configure, so that SPIRE does not wait for it at the
 * handshake.
 *
 * @module
 */
import { agentNodeAttestor, type PluginOptions } from '@tower-of-omens/spire-sdk'
import type { AidContext } from './context.ts'
import type { toRpcError } from './status.ts'

/**
 * Describes the plugin to the SDK.
 *
 * @returns Options for `servePlugin`.
 */
export function agentPlugin(): PluginOptions<AidContext> {
  let mapError: typeof toRpcError | undefined
  return {
    name: 'keylime-attestor-agent',
    type: 'NodeAttestor',
    services: [
      agentNodeAttestor<AidContext>({
        aidAttestation: async (stream, context) => {
          const { aidAttestation } = await import('./aid-attestation.ts')
          await aidAttestation(stream, context)
        },
      }),
    ],
    config: {
      build: async (request, context) => {
        mapError ??= (await import('./status.ts')).toRpcError
        const { buildContext } = await import('./context.ts')
        return buildContext(request, context)
      },
      dispose: (context) => context.close(),
    },
    // Nothing of ours fails before Configure.
    mapError: (error) => mapError?.(error),
  }
}
