/**
 * The agent half, put together.
 *
 * @module
 */
import { agentNodeAttestor, type PluginOptions } from '@tower-of-omens/spire-sdk'
import { aidAttestation } from './aid-attestation.ts'
import { type AgentConfig, buildAgentConfig } from './config.ts'
import { toRpcError } from './status.ts'

/** The agent half, as `servePlugin` takes it. */
export const AGENT_PLUGIN: PluginOptions<AgentConfig> = {
  name: 'keylime-attestor-agent',
  type: 'NodeAttestor',
  services: [agentNodeAttestor<AgentConfig>({ aidAttestation })],
  config: {
    build: buildAgentConfig,
    dispose: (config) => config.close(),
  },
  mapError: toRpcError,
}
