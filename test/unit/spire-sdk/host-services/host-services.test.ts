import { credentials } from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { serveUnary } from '../../../../plugins/go-plugin/grpc/unary.ts'
import type { Broker } from '../../../../plugins/go-plugin/index.ts'
import { MetricsService } from '../../../../plugins/spire-sdk/gen/spire/hostservice/common/metrics/v1/metrics.ts'
import { AgentStoreService } from '../../../../plugins/spire-sdk/gen/spire/hostservice/server/agentstore/v1/agentstore.ts'
import { IdentityProviderService } from '../../../../plugins/spire-sdk/gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts'
import { WorkloadAttestorClient } from '../../../../plugins/spire-sdk/gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts'
import { Bundle } from '../../../../plugins/spire-sdk/gen/spire/plugin/types/bundle.ts'
import { InitClient } from '../../../../plugins/spire-sdk/gen/spire/service/private/init/v1/init.ts'
import { newHostServices } from '../../../../plugins/spire-sdk/host-services/host-services.ts'
import { type HostServices, RpcError, workloadAttestor } from '../../../../plugins/spire-sdk/index.ts'
import { unary } from '../../../../plugins/spire-sdk/testing/index.ts'
import { STATUS_CODES } from '../../../../plugins/spire-sdk/wire/rpc-error.ts'
import { listen, serveInProcess } from '../in-process.ts'

const METRICS = 'spire.hostservice.common.metrics.v1.Metrics'
const AGENT_STORE = 'spire.hostservice.server.agentstore.v1.AgentStore'
const IDENTITY = 'spire.hostservice.server.identityprovider.v1.IdentityProvider'

const NOT_READY = 'AgentStore host service has not been initialized'

/** Makes a handler that answers with what a function returns, or with the status of what it throws. */
function answering<Req>(run: (request: Req) => object | Promise<object>) {
  return serveUnary<Req, object>(run, (error) =>
    error instanceof RpcError
      ? { code: STATUS_CODES[error.status], details: error.message }
      : { code: 2, details: 'the fake host failed' },
  )
}

/** Serves what SPIRE Server offers, and records the metrics. */
async function fakeHost() {
  const metrics: { method: string; request: unknown }[] = []
  const record = (method: string) =>
    answering((request) => {
      metrics.push({ method, request })
      return {}
    })
  const { target, stop } = await listen([
    {
      definition: MetricsService,
      implementation: {
        setGauge: record('setGauge'),
        emitKey: record('emitKey'),
        incrCounter: record('incrCounter'),
        addSample: record('addSample'),
        measureSince: record('measureSince'),
      },
    },
    {
      definition: AgentStoreService,
      implementation: {
        getAgentInfo: answering(({ agentId }: { agentId: string }) => {
          if (agentId.endsWith('/hang')) return new Promise(() => undefined)
          if (agentId.endsWith('/known')) return { info: { agentId } }
          if (agentId.endsWith('/early')) throw new RpcError('FAILED_PRECONDITION', NOT_READY)
          throw new RpcError('NOT_FOUND', 'no such agent')
        }),
      },
    },
    {
      definition: IdentityProviderService,
      implementation: {
        fetchX509Identity: answering(() => ({
          identity: { certChain: [Buffer.from('leaf')], privateKey: Buffer.from('key') },
          bundle: Bundle.create({ trustDomain: 'example.org', sequenceNumber: 7n }),
        })),
      },
    },
  ])
  return { metrics, target, [Symbol.dispose]: stop }
}

/** Runs code with the host services of a plugin that was told these names. */
async function withHosts<T>(
  names: string[],
  hostTarget: () => string | undefined,
  use: (hosts: HostServices) => Promise<T>,
): Promise<T> {
  let hosts: HostServices | undefined
  const grab = workloadAttestor<undefined>({
    async attest(_pid, _config, context) {
      hosts = context.hosts
      return []
    },
  })
  await using plugin = await serveInProcess({ services: [grab] }, hostTarget)
  await unary<object>((done) => plugin.client(InitClient).init({ hostServiceNames: names }, done))
  await unary<object>((done) => plugin.client(WorkloadAttestorClient).attest({ pid: 1 }, done))
  if (hosts === undefined) throw new Error('the plugin was not called')
  return await use(hosts)
}

describe('HostServices', () => {
  it('sends every kind of measurement to the host', async () => {
    using host = await fakeHost()
    await withHosts(
      [METRICS],
      () => host.target,
      async (hosts) => {
        const metrics = await hosts.metrics()
        await metrics.setGauge(['a', 'b'], 1.5, { side: 'server' })
        await metrics.emitKey(['c'], 2)
        await metrics.incrCounter(['d'], 3)
        await metrics.addSample(['e'], 4)
        await metrics.measureSince(['f'], 1_700_000_000_123.456)
      },
    )
    expect(host.metrics).toEqual([
      { method: 'setGauge', request: { key: ['a', 'b'], val: 1.5, labels: [{ name: 'side', value: 'server' }] } },
      { method: 'emitKey', request: { key: ['c'], val: 2 } },
      { method: 'incrCounter', request: { key: ['d'], val: 3, labels: [] } },
      { method: 'addSample', request: { key: ['e'], val: 4, labels: [] } },
      { method: 'measureSince', request: { key: ['f'], time: 1_700_000_000_123_456_000n, labels: [] } },
    ])
  })

  it('tells a known agent from an unknown one, and passes on any other status', async () => {
    using host = await fakeHost()
    await withHosts(
      [AGENT_STORE],
      () => host.target,
      async (hosts) => {
        const store = await hosts.agentStore()
        expect(await store.hasAgent('spiffe://example.org/spire/agent/x/known')).toBe(true)
        expect(await store.hasAgent('spiffe://example.org/spire/agent/x/other')).toBe(false)
        await expect(store.hasAgent('spiffe://example.org/spire/agent/x/early')).rejects.toMatchObject({
          status: 'FAILED_PRECONDITION',
          message: NOT_READY,
        })
      },
    )
  })

  it("fetches the server's own identity", async () => {
    using host = await fakeHost()
    const identity = await withHosts(
      [IDENTITY],
      () => host.target,
      async (hosts) => (await hosts.identityProvider()).fetchX509Identity(),
    )
    expect(identity.certChain).toEqual([Buffer.from('leaf')])
    expect(identity.privateKey).toEqual(Buffer.from('key'))
    expect(identity.bundle).toMatchObject({ trustDomain: 'example.org', sequenceNumber: 7n })
  })

  it('refuses what the host did not announce, without dialling [C47]', async () => {
    await withHosts(
      [METRICS],
      () => undefined,
      async (hosts) => {
        expect(hosts.names).toEqual([METRICS])
        await expect(hosts.agentStore()).rejects.toMatchObject({
          status: 'FAILED_PRECONDITION',
          message: `host service ${AGENT_STORE} is not offered by this host`,
        })
      },
    )
  })

  it('is unavailable while the broker cannot be dialled, and dials again', async () => {
    using host = await fakeHost()
    let target: string | undefined
    await withHosts(
      [METRICS],
      () => target,
      async (hosts) => {
        const metrics = await hosts.metrics()
        const failed = { status: 'UNAVAILABLE', message: 'host services unreachable' }
        const early = [metrics.emitKey(['a'], 1), metrics.emitKey(['a'], 2)]
        for (const call of early) await expect(call).rejects.toMatchObject(failed)
        ;({ target } = host)
        await metrics.emitKey(['b'], 3)
      },
    )
    expect(host.metrics).toEqual([{ method: 'emitKey', request: { key: ['b'], val: 3 } }])
  })

  it('keeps its connection when a call fails', async () => {
    using host = await fakeHost()
    let dials = 0
    const count = (): string => {
      dials += 1
      return host.target
    }
    await withHosts([AGENT_STORE], count, async (hosts) => {
      const store = await hosts.agentStore()
      for (let times = 0; times < 3; times++) {
        await expect(store.hasAgent('spiffe://example.org/spire/agent/x/early')).rejects.toMatchObject({
          status: 'FAILED_PRECONDITION',
          message: NOT_READY,
        })
      }
    })
    expect(dials).toBe(1)
  })

  it('ends its connection when the plugin is unloaded, and dials anew after that', async () => {
    using host = await fakeHost()
    let dials = 0
    const broker: Broker = {
      dial: async () => {
        dials += 1
        return { target: host.target, credentials: credentials.createInsecure(), options: {} }
      },
      accept: async () => ({ close: () => undefined }),
      nextId: () => 1,
    }
    const hosts = newHostServices(broker)
    hosts.announce([METRICS])
    await hosts.close()
    for (const key of ['a', 'b']) {
      await (await hosts.metrics()).emitKey([key], 1)
      await hosts.close()
    }
    expect({ dials, seen: host.metrics.length }).toEqual({ dials: 2, seen: 2 })
  })

  it.each(['identity', 'bundle'])('refuses an identity without its %s', async (missing) => {
    const whole = { identity: { certChain: [], privateKey: Buffer.from('key') }, bundle: Bundle.create({}) }
    const fetchX509Identity = answering(() => ({ ...whole, [missing]: undefined }))
    const { target, stop } = await listen([
      { definition: IdentityProviderService, implementation: { fetchX509Identity } },
    ])
    onTestFinished(stop)
    await withHosts(
      [IDENTITY],
      () => target,
      async (hosts) => {
        await expect((await hosts.identityProvider()).fetchX509Identity()).rejects.toMatchObject({
          status: 'INTERNAL',
          message: 'host answered without an identity or without its bundle',
        })
      },
    )
  })

  it('ends a call at its time limit and at its signal', async () => {
    using host = await fakeHost()
    await withHosts(
      [AGENT_STORE],
      () => host.target,
      async (hosts) => {
        const store = await hosts.agentStore()
        const id = 'spiffe://example.org/spire/agent/x/hang'
        await expect(store.hasAgent(id, { timeoutMs: 20 })).rejects.toMatchObject({ status: 'DEADLINE_EXCEEDED' })
        const stop = new AbortController()
        const waiting = store.hasAgent(id, { signal: stop.signal })
        stop.abort()
        await expect(waiting).rejects.toMatchObject({ status: 'CANCELLED' })
        await expect(store.hasAgent(id, { signal: AbortSignal.abort() })).rejects.toMatchObject({ status: 'CANCELLED' })
      },
    )
  })
})

describe('Init', () => {
  it('names everything the plugin implements, its type first', async () => {
    await using plugin = await serveInProcess<number>({
      services: [workloadAttestor({ attest: async () => [] })],
      config: { build: () => ({ problems: [], config: 1 }) },
    })
    expect(await unary((done) => plugin.client(InitClient).init({ hostServiceNames: [] }, done))).toEqual({
      pluginServiceNames: [
        'spire.plugin.agent.workloadattestor.v1.WorkloadAttestor',
        'spire.service.common.config.v1.Config',
      ],
    })
  })

  it('does not announce Config for a plugin without configuration [C44]', async () => {
    await using plugin = await serveInProcess({ services: [workloadAttestor<undefined>({ attest: async () => [] })] })
    expect(await unary((done) => plugin.client(InitClient).init({ hostServiceNames: [] }, done))).toEqual({
      pluginServiceNames: ['spire.plugin.agent.workloadattestor.v1.WorkloadAttestor'],
    })
  })

  it('fails when the host lacks a service the plugin needs [C47]', async () => {
    await using plugin = await serveInProcess({ services: [], requiredHostServices: [AGENT_STORE] })
    await expect(
      unary((done) => plugin.client(InitClient).init({ hostServiceNames: [METRICS] }, done)),
    ).rejects.toMatchObject({
      code: 9,
      details: `host service ${AGENT_STORE} is not offered by this host`,
    })
  })
})

describe('Deinit', () => {
  it('releases the configuration, then tells the plugin, once [C40]', async () => {
    const events: string[] = []
    await using plugin = await serveInProcess<string>({
      services: [],
      config: {
        build: () => ({ problems: [], config: 'the configuration' }),
        dispose: async (config) => void events.push(`disposed ${config}`),
      },
      close: (log) => {
        events.push('closed')
        log.info('CLOSED')
      },
    })
    const { ConfigClient } = await import('../../../../plugins/spire-sdk/gen/spire/service/common/config/v1/config.ts')
    const request = { coreConfiguration: { trustDomain: 'example.org' }, hclConfiguration: '' }
    await unary<object>((done) => plugin.client(ConfigClient).configure(request, done))
    await unary<object>((done) => plugin.client(InitClient).deinit({}, done))
    await unary<object>((done) => plugin.client(InitClient).deinit({}, done))
    await plugin.close()
    expect(events).toEqual(['disposed the configuration', 'closed'])
    expect(plugin.logs).toMatchObject([{ '@level': 'info', '@message': 'CLOSED' }])
  })
})
