/**
 * One plugin of each type SPIRE knows, NodeAttestors aside; `--type` says which. Behind SPIRE's own facades they show
 * that the SDK's services are what SPIRE expects.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import {
  agentKeyManager,
  bundlePublisher,
  credentialComposer,
  notifier,
  type PluginService,
  type PluginType,
  RpcError,
  servePlugin,
  serverKeyManager,
  svidStore,
  upstreamAuthority,
  workloadAttestor,
} from '../../../plugins/spire-sdk/index.ts'
import { memoryKeys } from './memory-keys.ts'

const { values } = parseArgs({ options: { type: { type: 'string', default: 'server/KeyManager' } } })

const stored = new Map<string, string>()

const SERVICES: Readonly<Record<string, () => PluginService<undefined>>> = {
  'server/KeyManager': () => serverKeyManager(memoryKeys()),
  'agent/KeyManager': () => agentKeyManager(memoryKeys()),
  'server/UpstreamAuthority': () =>
    upstreamAuthority({
      // Whoever asks is the authority: the "request" is a certificate, and its own root.
      async *mintX509Ca({ csr, preferredTtlSeconds }, _config, { signal, log }) {
        const certificate = { asn1: Buffer.from(csr), tainted: false }
        log.info('Minting', { ttl: preferredTtlSeconds })
        yield { x509CaChain: [certificate], upstreamX509Roots: [certificate] }
        yield { x509CaChain: [], upstreamX509Roots: [certificate, { ...certificate, tainted: true }] }
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        log.info('Stream closed')
      },
      async *publishJwtKey(key) {
        yield [key]
      },
    }),
  'server/Notifier': () =>
    notifier({
      async bundleLoaded({ trustDomain, x509Authorities }, _config, { hosts }) {
        if (x509Authorities.length === 0) throw new RpcError('FAILED_PRECONDITION', `no authority of ${trustDomain}`)
        await (await hosts.metrics()).setGauge(['authorities'], x509Authorities.length, { td: trustDomain })
      },
      async bundleUpdated(_bundle, _config, { hosts }) {
        const known = await (await hosts.agentStore()).hasAgent('spiffe://example.org/spire/agent/x/known')
        const unknown = await (await hosts.agentStore()).hasAgent('spiffe://example.org/spire/agent/x/unknown')
        const { certChain, bundle } = await (await hosts.identityProvider()).fetchX509Identity()
        const seen = `known ${known}, unknown ${unknown}, chain ${certChain.length}, bundle of ${bundle.trustDomain}`
        throw new RpcError('ABORTED', seen)
      },
    }),
  'server/BundlePublisher': () =>
    bundlePublisher({
      async publishBundle({ trustDomain, sequenceNumber, refreshHint }) {
        throw new RpcError('ABORTED', `${trustDomain} ${sequenceNumber} ${refreshHint}`)
      },
    }),
  'server/CredentialComposer': () =>
    credentialComposer({
      serverX509Ca: async (attributes) => ({ ...attributes, policyIdentifiers: ['1.2.3.4'] }),
      agentX509Svid: async (attributes, { spiffeId }) => ({
        ...attributes,
        dnsSans: [spiffeId.split('/').at(-1) ?? ''],
      }),
      workloadJwtSvid: async ({ claims }, spiffeId) => ({
        claims: { ...claims, tower: spiffeId, list: [1, 'two', null] },
      }),
      workloadX509Svid: () => Promise.reject(new RpcError('PERMISSION_DENIED', 'this workload gets no certificate')),
    }),
  'agent/WorkloadAttestor': () => workloadAttestor({ attest: async (pid) => [`pid:${pid}`, 'kind:test'] }),
  'agent/SVIDStore': () =>
    svidStore({
      async putX509Svid({ svid, metadata, federatedBundles }) {
        stored.set(metadata.join(), `${svid.spiffeID} ${svid.certChain.length} ${Object.keys(federatedBundles).join()}`)
      },
      async deleteX509Svid(metadata) {
        const found = stored.get(metadata.join())
        if (found === undefined) throw new RpcError('NOT_FOUND', `nothing is stored under ${metadata.join()}`)
        throw new RpcError('ABORTED', `stored was ${found}`)
      },
    }),
}

const makeService = SERVICES[values.type]
if (makeService === undefined)
  throw new Error(`--type ${values.type}: expected one of ${Object.keys(SERVICES).join(', ')}`)

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys above end in SPIRE's types
const type = values.type.slice(values.type.indexOf('/') + 1) as PluginType
void servePlugin({ name: 'every-type-plugin', type, services: [makeService()] })
