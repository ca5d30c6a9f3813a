import { afterEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { type FakeNode, newFakeNode } from '../fakes/fake-node.ts'
import { answerWith } from '../fakes/faults.ts'
import { ServerPlugin } from './server-plugin.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]()
})

/** A Keylime of many nodes, all enrolled at its first verifier, and the server half that reads it. */
async function fleet(
  options: { readonly nodes: number; readonly verifiers: number },
  extra: Readonly<Record<string, string>> = {},
): Promise<{ readonly keylime: FakeKeylime; readonly plugin: ServerPlugin }> {
  const keylime = await startFakeKeylime({ ...options, ak: 'ec-p256', paced: true })
  open.push(keylime)
  const hcl = keylime.serverHcl({
    keylime_verifiers: keylime.verifiers.map(({ host, port }) => `${host}:${port}`),
    ...extra,
  })
  const plugin = await ServerPlugin.start({ hcl: hcl.replace(/^keylime_verifier_(host|port) = .*\n/gm, '') })
  open.push(plugin)
  return { keylime, plugin }
}

/** How many attestations of all nodes at once end in each status. */
async function statusesOf(plugin: ServerPlugin, nodes: readonly FakeNode[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { status } of await Promise.all(nodes.map((node) => plugin.attest(node)))) {
    counts[status] = (counts[status] ?? 0) + 1
  }
  return counts
}

describe('one failed request', { timeout: 120_000 }, () => {
  it.each([
    ['agent', 1],
    ['agent', 2],
    ['identity', 1],
    ['identity', 2],
    ['version', 1],
    ['version', 2],
  ] as const)(
    'to /%s with %i verifiers costs one node of 200 its attestation at most [claims:fate:one-request]',
    async (endpoint, verifiers) => {
      const { keylime, plugin } = await fleet({ nodes: 200, verifiers })
      keylime.verifier.fail(endpoint, answerWith(500), 1)
      const { OK = 0, ...others } = await statusesOf(plugin, keylime.nodes)
      expect(others).toEqual(OK === 200 ? {} : { UNAVAILABLE: 1 })
      expect(OK).toBeGreaterThanOrEqual(199)
    },
  )

  it.each(['version', 'agent'] as const)(
    'to /%s of the registrar costs one node of 200 its attestation at most [claims:fate:one-request]',
    async (endpoint) => {
      const { keylime, plugin } = await fleet({ nodes: 200, verifiers: 1 })
      keylime.registrar.fail(endpoint, answerWith(500), 1)
      const { OK = 0, ...others } = await statusesOf(plugin, keylime.nodes)
      expect(others).toEqual(OK === 200 ? {} : { UNAVAILABLE: 1 })
      expect(OK).toBeGreaterThanOrEqual(199)
    },
  )
})

describe('callers that nobody knows', { timeout: 120_000 }, () => {
  it('do not stand before a node that was admitted before, not 1,500 of them [claims:fate:strangers]', async () => {
    const { keylime, plugin } = await fleet({ nodes: 1, verifiers: 1 }, { request_timeout: '30s' })
    const node = keylime.node()
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    keylime.registrar.delay('agent', 50)
    keylime.registrar.resetStats()
    const gone = new AbortController()
    const strangers = Array.from({ length: 1_500 }, (_, n) =>
      plugin.attest(newFakeNode(`stranger-${n}`, node.tpm), { signal: gone.signal }),
    )
    await expect.poll(() => keylime.registrar.stats.requests['agent'] ?? 0, { timeout: 60_000 }).toBeGreaterThan(20)
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    // Most of them still wait.
    expect(keylime.registrar.stats.requests['agent']).toBeLessThan(750)
    gone.abort()
    await Promise.all(strangers)
  })

  it('do not stand before a new node that calls from elsewhere [claims:fate:strangers]', async () => {
    const { keylime, plugin } = await fleet({ nodes: 1, verifiers: 1 }, { request_timeout: '30s' })
    const node = keylime.node()
    keylime.registrar.delay('agent', 50)
    const gone = new AbortController()
    const strangers = Array.from({ length: 800 }, (_, n) =>
      plugin.attest(newFakeNode(`stranger-${n}`, node.tpm), { signal: gone.signal, from: '198.51.100.9' }),
    )
    await expect.poll(() => keylime.registrar.stats.requests['agent'] ?? 0, { timeout: 60_000 }).toBeGreaterThan(20)
    expect(await plugin.attest(node, { from: '192.0.2.7' })).toMatchObject({ status: 'OK' })
    expect(keylime.registrar.stats.requests['agent']).toBeLessThan(400)
    gone.abort()
    await Promise.all(strangers)
  })

  it('make the verifier list its agents once, not once for every few of them [claims:fate:strangers]', async () => {
    const { keylime, plugin } = await fleet({ nodes: 1, verifiers: 1 })
    const { tpm } = keylime.node()
    const strangers = Array.from({ length: 300 }, (_, n) => newFakeNode(`registered-${n}`, tpm))
    for (const { agentId } of strangers) {
      const keys = { ek_tpm: tpm.ekTpm.toString('base64'), aik_tpm: tpm.akTpm.toString('base64') }
      keylime.registrar.register({ agent_id: agentId, ...keys })
    }
    expect(await statusesOf(plugin, strangers)).toEqual({ FAILED_PRECONDITION: 300 })
    expect(keylime.verifier.stats.requests['agents'] ?? 0).toBeLessThanOrEqual(1)
  })
})
