import { credentialComposer, defineSchema, hclConfig, type PluginOptions } from '@tower-of-omens/spire-sdk'

interface Config {
  readonly environment: string
  readonly dnsSuffix: string
}

const schema = defineSchema({
  environment: { kind: 'string', required: true, help: 'Value of the claim `env` in every JWT-SVID.' },
  dns_suffix: {
    kind: 'string',
    required: true,
    help: 'What follows the last part of a SPIFFE ID in the DNS name of a workload.',
  },
})

/** CredentialComposer: tells each workload's token its environment, and gives its certificate a DNS name. */
export const plugin: PluginOptions<Config> = {
  name: 'named-workloads',
  type: 'CredentialComposer',
  config: hclConfig(schema, ({ environment, dns_suffix: dnsSuffix }) => ({ environment, dnsSuffix })),
  services: [
    credentialComposer({
      async workloadJwtSvid({ claims }, _spiffeId, { environment }) {
        return { claims: { ...claims, env: environment } }
      },
      async workloadX509Svid(attributes, { spiffeId }, { dnsSuffix }) {
        const name = `${spiffeId.slice(spiffeId.lastIndexOf('/') + 1)}.${dnsSuffix}`
        return { ...attributes, dnsSans: [...attributes.dnsSans, name] }
      },
    }),
  ],
}
