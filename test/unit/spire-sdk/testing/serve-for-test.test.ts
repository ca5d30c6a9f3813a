import { describe, expect, it } from 'vitest'
import {
  bundlePublisher,
  defineSchema,
  type HostServices,
  hclConfig,
  type PluginOptions,
  workloadAttestor,
} from '../../../../plugins/spire-sdk/index.ts'
import {
  driveBundlePublisher,
  driveWorkloadAttestor,
  fakeHost,
  serveForTest,
  testBundle,
} from '../../../../plugins/spire-sdk/testing/index.ts'

const schema = defineSchema({ word: { kind: 'string', required: true, help: 'Any word.' } })

function plugin(events: string[]): PluginOptions<{ word: string; trustDomain: string }> {
  return {
    name: 'small',
    type: 'BundlePublisher',
    config: hclConfig(
      schema,
      ({ word }, { trustDomain }) => ({ word, trustDomain }),
      async ({ word }) => void events.push(`disposed ${word}`),
    ),
    services: [
      bundlePublisher({
        async publishBundle(_bundle, { word, trustDomain }, { log }) {
          events.push(`published ${word} ${trustDomain}`)
          log.info('Published', { word })
        },
      }),
    ],
    close: () => void events.push('closed'),
  }
}

/** Runs code with the host services of a plugin of this host. */
async function withHosts<T>(host: ReturnType<typeof fakeHost>, use: (hosts: HostServices) => Promise<T>): Promise<T> {
  const results: T[] = []
  const grab = workloadAttestor<undefined>({
    async attest(_pid, _config, { hosts }) {
      results.push(await use(hosts))
      return []
    },
  })
  await using served = await serveForTest({ name: 'grab', type: 'WorkloadAttestor', services: [grab] }, { host })
  await driveWorkloadAttestor(served).attest(1)
  const [result] = results
  if (result === undefined) throw new Error('the plugin was not called')
  return result
}

describe('serveForTest', () => {
  it('loads, configures, calls and unloads the plugin in this process [sdk:testing:in-process]', async () => {
    const events: string[] = []
    const served = await serveForTest(plugin(events), { hcl: 'word = "sesame"', trustDomain: 'example.net' })
    expect(served.serviceNames).toEqual([
      'spire.plugin.server.bundlepublisher.v1.BundlePublisher',
      'spire.service.common.config.v1.Config',
    ])
    await driveBundlePublisher(served).publishBundle(testBundle())
    await served.close()
    await served.close()
    expect(events).toEqual(['published sesame example.net', 'disposed sesame', 'closed'])
    expect(served.logs).toMatchObject([{ level: 'info', message: 'Published', fields: { word: 'sesame' } }])
  })

  it('leaves a plugin unconfigured when no text is given', async () => {
    await using served = await serveForTest(plugin([]))
    await expect(driveBundlePublisher(served).publishBundle(testBundle())).rejects.toMatchObject({
      code: 9,
      details: 'not configured',
    })
  })

  it('ends the plugin when it refuses its configuration, or misses a service of the host', async () => {
    const events: string[] = []
    await expect(serveForTest(plugin(events), { hcl: 'wrod = "x"' })).rejects.toMatchObject({ code: 3 })
    const needy = { ...plugin(events), requiredHostServices: ['spire.hostservice.server.agentstore.v1.AgentStore'] }
    await expect(serveForTest(needy, { host: fakeHost({ side: 'agent' }) })).rejects.toMatchObject({
      code: 9,
      details: 'host service spire.hostservice.server.agentstore.v1.AgentStore is not offered by this host',
    })
    expect(events).toEqual(['closed', 'closed'])
  })
})

describe('fakeHost', () => {
  it('keeps every measurement, in order [sdk:testing:fake-host]', async () => {
    const host = fakeHost({ side: 'agent' })
    await withHosts(host, async (hosts) => {
      const metrics = await hosts.metrics()
      await metrics.setGauge(['a', 'b'], 1.5, { side: 'agent' })
      await metrics.emitKey(['c'], 2)
      await metrics.incrCounter(['d'], 3)
      await metrics.addSample(['e'], 4)
      await metrics.measureSince(['f'], 1_700_000_000_123)
      return hosts.names
    })
    expect(host.measurements).toEqual([
      { kind: 'gauge', name: 'a.b', value: 1.5, labels: { side: 'agent' } },
      { kind: 'key', name: 'c', value: 2, labels: {} },
      { kind: 'counter', name: 'd', value: 3, labels: {} },
      { kind: 'sample', name: 'e', value: 4, labels: {} },
      { kind: 'since', name: 'f', value: 1_700_000_000_123, labels: {} },
    ])
  })

  it('knows the agents it was given, and its identity [sdk:testing:fake-host]', async () => {
    const identity = { certChain: [Buffer.from('leaf')], privateKey: Buffer.from('key'), bundle: testBundle() }
    const host = fakeHost({ agents: ['spiffe://example.org/spire/agent/x/1'], identity })
    const seen = await withHosts(host, async (hosts) => {
      const store = await hosts.agentStore()
      const known = ['1', '2'].map((name) => store.hasAgent(`spiffe://example.org/spire/agent/x/${name}`))
      return { known: await Promise.all(known), identity: await (await hosts.identityProvider()).fetchX509Identity() }
    })
    expect(seen).toEqual({ known: [true, false], identity })
  })

  it('answers as a server that still loads its plugins when it has no identity', async () => {
    const answer = await withHosts(fakeHost(), async (hosts) =>
      (await hosts.identityProvider()).fetchX509Identity().catch((error: unknown) => error),
    )
    expect(answer).toMatchObject({ status: 'FAILED_PRECONDITION', message: 'IdentityProvider has not been set' })
  })
})
