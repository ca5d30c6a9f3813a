/**
 * A server NodeAttestor whose configuration is a version; it tells which one it began and ended an attestation with.
 *
 * @module
 */
import { agentSpiffeId, servePlugin, serverNodeAttestor } from '../../../../plugins/spire-sdk/index.ts'

/** One configuration: a number, and whether it was released. */
interface Version {
  readonly number: string
  readonly trustDomain: string
  released: boolean
}

await servePlugin<Version>({
  name: 'versions',
  type: 'NodeAttestor',
  config: {
    build: ({ hcl, trustDomain }) => ({ problems: [], config: { number: hcl, trustDomain, released: false } }),
    dispose: async (version) => {
      version.released = true
    },
  },
  services: [
    serverNodeAttestor<Version>({
      async attest(stream, config) {
        const before = `${config.number}:${config.released}`
        await stream.challenge(Buffer.from(config.number))
        return {
          spiffeId: agentSpiffeId(config.trustDomain, 'versions', 'node'),
          selectorValues: [before, `${config.number}:${config.released}`],
          canReattest: true,
        }
      },
    }),
  ],
})
