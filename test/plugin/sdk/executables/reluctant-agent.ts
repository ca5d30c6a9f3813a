/**
 * An agent NodeAttestor that always fails: before the payload, or right after it, as its configuration says.
 *
 * @module
 */
import { agentNodeAttestor, RpcError, servePlugin } from '../../../../plugins/spire-sdk/index.ts'

await servePlugin<string>({
  name: 'reluctant-agent',
  type: 'NodeAttestor',
  config: { build: ({ hcl }) => ({ problems: [], config: hcl }) },
  services: [
    agentNodeAttestor<string>({
      async aidAttestation(stream, when) {
        if (when === 'before') throw new RpcError('UNAVAILABLE', 'keylime agent is not up')
        await stream.sendPayload(Buffer.from('payload'))
        throw new RpcError('UNAVAILABLE', 'keylime agent went away')
      },
    }),
  ],
})
