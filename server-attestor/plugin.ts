/**
 * The server half as SPIRE loads it: one service, one builder for Configure and Validate.
 *
 * What attests and what speaks TLS is loaded by Configure, so that SPIRE does not wait for it at the handshake.
 *
 * @module
 */
import type { PluginOptions } from '@tower-of-omens/spire-sdk'
import { serverNodeAttestor } from '@tower-of-omens/spire-sdk'
import type { AttestContext, Memory } from './context.ts'
import type { toRpcError } from './status.ts'

/** Bound on a message of the agent half; a quote with its public key takes under 4 KiB. */
const MAX_MESSAGE_BYTES = 65_536

/**
 * Describes the plugin to the SDK.
 *
 * @returns Options for `servePlugin`.
 */
export function serverPlugin(): PluginOptions<AttestContext> {
  let memory: Memory | undefined
  let mapError: typeof toRpcError | undefined
  return {
    name: 'keylime-attestor-server',
    type: 'NodeAttestor',
    services: [
      serverNodeAttestor<AttestContext>({
        attest: async (stream, context) => {
          const { attestReported } = await import('./handler.ts')
          return attestReported(stream, context)
        },
        maxMessageBytes: MAX_MESSAGE_BYTES,
      }),
    ],
    config: {
      build: async (request, context) => {
        mapError ??= (await import('./status.ts')).toRpcError
        const { buildContext, newMemory } = await import('./context.ts')
        memory ??= newMemory()
        return buildContext(request, context, memory)
      },
      dispose: (context) => context.close(),
    },
    // Nothing of ours fails before Configure.
    mapError: (error) => mapError?.(error),
  }
}
