import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { ClientReadableStream } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { KeyManagerClient as AgentKeyManagerClient } from '../../../plugins/spire-sdk/gen/spire/plugin/agent/keymanager/v1/keymanager.ts'
import { SVIDStoreClient } from '../../../plugins/spire-sdk/gen/spire/plugin/agent/svidstore/v1/svidstore.ts'
import { WorkloadAttestorClient } from '../../../plugins/spire-sdk/gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts'
import { BundlePublisherClient } from '../../../plugins/spire-sdk/gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts'
import { CredentialComposerClient } from '../../../plugins/spire-sdk/gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts'
import { KeyManagerClient } from '../../../plugins/spire-sdk/gen/spire/plugin/server/keymanager/v1/keymanager.ts'
import { NotifierClient } from '../../../plugins/spire-sdk/gen/spire/plugin/server/notifier/v1/notifier.ts'
import { UpstreamAuthorityClient } from '../../../plugins/spire-sdk/gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts'
import { Bundle } from '../../../plugins/spire-sdk/gen/spire/plugin/types/bundle.ts'
import {
  agentKeyManager,
  bundlePublisher,
  credentialComposer,
  type KeyManager,
  type ManagedKey,
  notifier,
  RpcError,
  serverKeyManager,
  svidStore,
  type UpstreamAuthority,
  upstreamAuthority,
  workloadAttestor,
} from '../../../plugins/spire-sdk/index.ts'
import { unary } from '../../../plugins/spire-sdk/testing/index.ts'
import { serveInProcess } from './in-process.ts'

/** Keeps real keys in memory. */
function memoryKeys(): KeyManager<undefined> {
  const keys = new Map<string, { shown: ManagedKey; key: KeyObject }>()
  return {
    async generateKey(id, type) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const pkixData = publicKey.export({ type: 'spki', format: 'der' })
      const fingerprint = createHash('sha256').update(pkixData).digest('hex')
      const shown = { id, type, pkixData, fingerprint }
      keys.set(id, { shown, key: privateKey })
      return shown
    },
    getPublicKey: async (id) => keys.get(id)?.shown,
    getPublicKeys: async () => [...keys.values()].map((each) => each.shown),
    async signData({ keyId, data, hash, pssSaltLength }) {
      const found = keys.get(keyId)
      if (found === undefined) return undefined
      expect({ hash, pssSaltLength }).toEqual({ hash: 'SHA256', pssSaltLength: keyId === 'pss' ? 32 : undefined })
      return { signature: sign(null, data, found.key), keyFingerprint: found.shown.fingerprint }
    },
  }
}

describe.each([
  ['serverKeyManager', serverKeyManager(memoryKeys()), KeyManagerClient],
  ['agentKeyManager', agentKeyManager(memoryKeys()), AgentKeyManagerClient],
] as const)('%s', (_name, service, kind) => {
  it('makes, lists and uses keys', async () => {
    await using plugin = await serveInProcess({ services: [service] })
    const client = plugin.client(kind)
    const { publicKey: made } = await unary<{ publicKey: { fingerprint: string } | undefined }>((done) =>
      client.generateKey({ keyId: 'ca', keyType: 1 }, done),
    )
    expect(made).toMatchObject({ id: 'ca', type: 1 })
    await unary<object>((done) => client.generateKey({ keyId: 'pss', keyType: 3 }, done))
    expect(await unary((done) => client.getPublicKey({ keyId: 'ca' }, done))).toEqual({ publicKey: made })
    expect(await unary((done) => client.getPublicKeys({}, done))).toMatchObject({
      publicKeys: [{ id: 'ca' }, { id: 'pss', type: 3 }],
    })
    const data = createHash('sha256').update('x').digest()
    const signed = await unary((done) =>
      client.signData({ keyId: 'ca', data, signerOpts: { $case: 'hashAlgorithm', value: 5 } }, done),
    )
    expect(signed).toMatchObject({ keyFingerprint: made?.fingerprint })
    const pss = { $case: 'pssOptions', value: { saltLength: 32, hashAlgorithm: 5 } } as const
    expect(await unary((done) => client.signData({ keyId: 'pss', data, signerOpts: pss }, done))).toHaveProperty(
      'signature',
    )
  })

  it('refuses what it cannot mean', async () => {
    await using plugin = await serveInProcess({ services: [service] })
    const client = plugin.client(kind)
    const data = Buffer.alloc(32)
    const sha256 = { $case: 'hashAlgorithm', value: 5 } as const
    await expect(unary((done) => client.getPublicKey({ keyId: 'none' }, done))).rejects.toMatchObject({
      code: 5,
      details: 'key "none" not found',
    })
    await expect(
      unary((done) => client.signData({ keyId: 'none', data, signerOpts: sha256 }, done)),
    ).rejects.toMatchObject({
      code: 5,
      details: 'key "none" not found',
    })
    await expect(unary((done) => client.generateKey({ keyId: '', keyType: 1 }, done))).rejects.toMatchObject({
      code: 3,
      details: 'key_id is required',
    })
    await expect(unary((done) => client.generateKey({ keyId: 'a\uFFFD', keyType: 1 }, done))).rejects.toMatchObject({
      code: 3,
      details: 'key_id is not valid UTF-8',
    })
    await expect(unary((done) => client.generateKey({ keyId: 'a', keyType: 0 }, done))).rejects.toMatchObject({
      code: 3,
      details: 'key_type 0 is not known, expected one of EC_P256, EC_P384, RSA_2048, RSA_4096',
    })
    await expect(
      unary((done) => client.signData({ keyId: 'a', data, signerOpts: undefined }, done)),
    ).rejects.toMatchObject({
      code: 3,
      details: 'signer_opts is required',
    })
  })
})

/** Collects a stream, at most `count` messages of it. */
async function collect<T>(call: ClientReadableStream<T>, count = Infinity): Promise<T[]> {
  const messages: T[] = []
  try {
    for await (const message of call) {
      messages.push(message as T)
      if (messages.length >= count) break
    }
  } finally {
    call.cancel()
  }
  return messages
}

const serve = (impl: UpstreamAuthority<undefined>) => serveInProcess({ services: [upstreamAuthority(impl)] })

describe('upstreamAuthority', () => {
  const root = { asn1: Buffer.from('root'), tainted: false }
  const jwtKey = { publicKey: Buffer.from('k'), keyId: 'id', expiresAt: 5n, tainted: false }

  it('answers, and goes on telling of changes until SPIRE cancels', async () => {
    const stopped = Promise.withResolvers<string>()
    await using plugin = await serve({
      async *mintX509Ca({ csr, preferredTtlSeconds }, _config, { signal }) {
        yield { x509CaChain: [{ asn1: Buffer.from(csr), tainted: false }], upstreamX509Roots: [root] }
        yield { x509CaChain: [], upstreamX509Roots: [root, root] }
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        stopped.resolve(`stopped after a CA of ${preferredTtlSeconds} s`)
      },
    })
    const call = plugin
      .client(UpstreamAuthorityClient)
      .mintX509CaAndSubscribe({ csr: Buffer.from('csr'), preferredTtl: 60 })
    expect(await collect(call, 2)).toEqual([
      { x509CaChain: [{ asn1: Buffer.from('csr'), tainted: false }], upstreamX509Roots: [root] },
      { x509CaChain: [], upstreamX509Roots: [root, root] },
    ])
    expect(await stopped.promise).toBe('stopped after a CA of 60 s')
    expect(plugin.logs).toEqual([])
  })

  it('ends the stream when the plugin has no more to say', async () => {
    await using plugin = await serve({
      async *mintX509Ca() {},
      async *publishJwtKey(key) {
        yield [key]
      },
      async *subscribeToLocalBundle() {
        yield { upstreamX509Roots: [root], upstreamJwtKeys: [jwtKey] }
      },
    })
    const client = plugin.client(UpstreamAuthorityClient)
    expect(await collect(client.mintX509CaAndSubscribe({ csr: Buffer.alloc(0), preferredTtl: 0 }))).toEqual([])
    expect(await collect(client.publishJwtKeyAndSubscribe({ jwtKey }))).toEqual([{ upstreamJwtKeys: [jwtKey] }])
    expect(await collect(client.subscribeToLocalBundle({}))).toEqual([
      { upstreamX509Roots: [root], upstreamJwtKeys: [jwtKey] },
    ])
    await expect(collect(client.publishJwtKeyAndSubscribe({ jwtKey: undefined }))).rejects.toMatchObject({
      code: 3,
      details: 'jwt_key is required',
    })
  })

  it('says what it does not support, and what went wrong', async () => {
    await using plugin = await serve({
      async *mintX509Ca() {
        yield { x509CaChain: [], upstreamX509Roots: [] }
        throw new RpcError('UNAVAILABLE', 'upstream is down')
      },
    })
    const client = plugin.client(UpstreamAuthorityClient)
    await expect(
      collect(client.mintX509CaAndSubscribe({ csr: Buffer.alloc(0), preferredTtl: 0 })),
    ).rejects.toMatchObject({
      code: 14,
      details: 'upstream is down',
    })
    await expect(collect(client.publishJwtKeyAndSubscribe({ jwtKey }))).rejects.toMatchObject({
      code: 12,
      details: 'publishing JWT keys is not supported',
    })
    await expect(collect(client.subscribeToLocalBundle({}))).rejects.toMatchObject({
      code: 12,
      details: 'following the local bundle is not supported',
    })
  })

  it('waits for a host that does not read, and loses nothing', async () => {
    const asn1 = Buffer.alloc(64 * 1024, 7)
    await using plugin = await serve({
      async *mintX509Ca() {
        for (let index = 0; index < 100; index++)
          yield { x509CaChain: [{ asn1, tainted: false }], upstreamX509Roots: [] }
      },
    })
    const call = plugin.client(UpstreamAuthorityClient).mintX509CaAndSubscribe({ csr: asn1, preferredTtl: 0 })
    expect(await collect(call)).toHaveLength(100)
  })
})

const refuse = () => Promise.reject(new RpcError('UNAVAILABLE', 'store is down'))

describe('notifier', () => {
  const bundle = Bundle.create({ trustDomain: 'example.org', sequenceNumber: 3n })

  it('is told of both events', async () => {
    const events: string[] = []
    await using plugin = await serveInProcess({
      services: [
        notifier<undefined>({
          bundleUpdated: async ({ sequenceNumber }) => void events.push(`updated ${sequenceNumber}`),
          bundleLoaded: async ({ trustDomain }) => void events.push(`loaded ${trustDomain}`),
        }),
      ],
    })
    const client = plugin.client(NotifierClient)
    await unary<object>((done) => client.notify({ event: { $case: 'bundleUpdated', value: { bundle } } }, done))
    await unary<object>((done) => client.notifyAndAdvise({ event: { $case: 'bundleLoaded', value: { bundle } } }, done))
    expect(events).toEqual(['updated 3', 'loaded example.org'])
  })

  it("tells SPIRE of the plugin's errors", async () => {
    await using plugin = await serveInProcess({
      services: [notifier<undefined>({ bundleLoaded: refuse, bundleUpdated: refuse })],
    })
    const client = plugin.client(NotifierClient)
    const loaded = { event: { $case: 'bundleLoaded', value: { bundle } } } as const
    const updated = { event: { $case: 'bundleUpdated', value: { bundle } } } as const
    const failed = { code: 14, details: 'store is down' }
    await expect(unary((done) => client.notifyAndAdvise(loaded, done))).rejects.toMatchObject(failed)
    await expect(unary((done) => client.notify(updated, done))).rejects.toMatchObject(failed)
  })

  it('lets events pass that it does not know, and refuses an event without its bundle', async () => {
    await using plugin = await serveInProcess({
      services: [notifier<undefined>({ bundleLoaded: async () => undefined })],
    })
    const client = plugin.client(NotifierClient)
    expect(await unary((done) => client.notify({ event: undefined }, done))).toEqual({})
    expect(await unary((done) => client.notifyAndAdvise({ event: undefined }, done))).toEqual({})
    const empty = { event: { $case: 'bundleLoaded', value: { bundle: undefined } } } as const
    await expect(unary((done) => client.notifyAndAdvise(empty, done))).rejects.toMatchObject({
      code: 3,
      details: 'event has no bundle',
    })
  })
})

describe('bundlePublisher', () => {
  it('publishes the bundle', async () => {
    const published: string[] = []
    await using plugin = await serveInProcess({
      services: [
        bundlePublisher<undefined>({ publishBundle: async (bundle) => void published.push(bundle.trustDomain) }),
      ],
    })
    const client = plugin.client(BundlePublisherClient)
    await unary<object>((done) => client.publishBundle({ bundle: Bundle.create({ trustDomain: 'example.org' }) }, done))
    expect(published).toEqual(['example.org'])
    await expect(unary((done) => client.publishBundle({ bundle: undefined }, done))).rejects.toMatchObject({
      code: 3,
      details: 'bundle is required',
    })
  })
})

describe('credentialComposer', () => {
  const attributes = { subject: undefined, dnsSans: ['a'], extraExtensions: [] }
  const ca = { subject: undefined, policyIdentifiers: ['1.2'], extraExtensions: [] }
  const publicKey = Buffer.from('key')
  const spiffeId = 'spiffe://example.org/x'

  it('shapes each credential', async () => {
    await using plugin = await serveInProcess({
      services: [
        credentialComposer<undefined>({
          serverX509Ca: async (given) => ({ ...given, policyIdentifiers: ['3.4'] }),
          serverX509Svid: async (given) => ({ ...given, dnsSans: ['server'] }),
          agentX509Svid: async (given, subject) => ({
            ...given,
            dnsSans: [subject.spiffeId, String(subject.publicKey)],
          }),
          workloadX509Svid: async (given, subject) => ({ ...given, dnsSans: [`${subject.spiffeId}/w`] }),
          workloadJwtSvid: async ({ claims }, id) => ({ claims: { ...claims, who: id } }),
        }),
      ],
    })
    const client = plugin.client(CredentialComposerClient)
    expect(await unary((done) => client.composeServerX509Ca({ attributes: ca }, done))).toMatchObject({
      attributes: { policyIdentifiers: ['3.4'] },
    })
    expect(await unary((done) => client.composeServerX509Svid({ attributes }, done))).toMatchObject({
      attributes: { dnsSans: ['server'] },
    })
    const subject = { attributes, spiffeId, publicKey }
    expect(await unary((done) => client.composeAgentX509Svid(subject, done))).toMatchObject({
      attributes: { dnsSans: [spiffeId, 'key'] },
    })
    expect(await unary((done) => client.composeWorkloadX509Svid(subject, done))).toMatchObject({
      attributes: { dnsSans: [`${spiffeId}/w`] },
    })
    const jwt = { attributes: { claims: { sub: spiffeId } }, spiffeId }
    expect(await unary((done) => client.composeWorkloadJwtsvid(jwt, done))).toEqual({
      attributes: { claims: { sub: spiffeId, who: spiffeId } },
    })
  })

  it("keeps SPIRE's own attributes where it has no opinion", async () => {
    await using plugin = await serveInProcess({ services: [credentialComposer<undefined>({})] })
    const client = plugin.client(CredentialComposerClient)
    expect(await unary((done) => client.composeServerX509Svid({ attributes }, done))).toEqual({ attributes: undefined })
    await expect(unary((done) => client.composeServerX509Svid({ attributes: undefined }, done))).rejects.toMatchObject({
      code: 3,
      details: 'attributes are required',
    })
  })
})

describe('workloadAttestor', () => {
  it('describes a process, and a reference when it can', async () => {
    await using plugin = await serveInProcess({
      services: [
        workloadAttestor<undefined>({
          attest: async (pid) => [`pid:${pid}`],
          attestReference: async ({ typeUrl, value }) => [`${typeUrl}:${value.length}`],
        }),
      ],
    })
    const client = plugin.client(WorkloadAttestorClient)
    expect(await unary((done) => client.attest({ pid: 7 }, done))).toEqual({ selectorValues: ['pid:7'] })
    const reference = { typeUrl: 'type.example/x', value: Buffer.from('abc') }
    expect(await unary((done) => client.attestReference({ reference }, done))).toEqual({
      selectorValues: ['type.example/x:3'],
    })
    await expect(unary((done) => client.attestReference({ reference: undefined }, done))).rejects.toMatchObject({
      code: 3,
      details: 'reference is required',
    })
  })

  it('lets SPIRE fall back to the process id', async () => {
    await using plugin = await serveInProcess({ services: [workloadAttestor<undefined>({ attest: async () => [] })] })
    const client = plugin.client(WorkloadAttestorClient)
    await expect(unary((done) => client.attestReference({ reference: undefined }, done))).rejects.toMatchObject({
      code: 12,
      details: 'references are not supported',
    })
  })
})

describe('svidStore', () => {
  it('stores and removes identities', async () => {
    const events: string[] = []
    await using plugin = await serveInProcess({
      services: [
        svidStore<undefined>({
          putX509Svid: async ({ svid, metadata, federatedBundles }) =>
            void events.push(`put ${svid.spiffeID} ${metadata.join()} ${Object.keys(federatedBundles).join()}`),
          deleteX509Svid: async (metadata) => void events.push(`delete ${metadata.join()}`),
        }),
      ],
    })
    const client = plugin.client(SVIDStoreClient)
    const svid = { spiffeID: 'spiffe://e/a', certChain: [], privateKey: Buffer.alloc(0), bundle: [], expiresAt: 1n }
    const federatedBundles = { 'other.org': Buffer.from('x') }
    await unary<object>((done) => client.putX509Svid({ svid, metadata: ['name:a'], federatedBundles }, done))
    await unary<object>((done) => client.deleteX509Svid({ metadata: ['name:a'] }, done))
    expect(events).toEqual(['put spiffe://e/a name:a other.org', 'delete name:a'])
    await expect(
      unary((done) => client.putX509Svid({ svid: undefined, metadata: [], federatedBundles: {} }, done)),
    ).rejects.toMatchObject({ code: 3, details: 'svid is required' })
  })
})
