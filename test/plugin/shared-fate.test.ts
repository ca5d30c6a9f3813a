import { afterEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import type { FakeNode } from '../fakes/fake-node.ts'
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
