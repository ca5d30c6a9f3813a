/**
 * The agent half, put together.
 *
 * @module
 */
import { agentNodeAttestor, type PluginOptions } from '@tower-of-omens/spire-sdk'
import { aidAttestation } from './aid-attestation.ts'
import { type AidContext, buildContext } from './context.ts'
import { toRpcError } from './status.ts'

/** The agent half, as `servePlugin` takes it. */
export const AGENT_PLUGIN: PluginOptions<AidContext> = {
  name: 'keylime-attestor-agent',
  type: 'NodeAttestor',
  services: [agentNodeAttestor<AidContext>({ aidAttestation })],
  config: {
    build: buildContext,
    dispose: (context) => context.close(),
  },
  mapError: toRpcError,
}
