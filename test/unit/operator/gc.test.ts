import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type FleetHost, gatherFleet } from '../../../operator/fleet.ts'
import { RUBBISH_KINDS } from '../../../operator/rubbish/kinds.ts'
import { openKeylimeAdmin } from '../../../operator/sources/admin.ts'
import { openSources } from '../../../operator/sources/open.ts'
import { DEFAULT_AGENT_UUID } from '../../../plugins/keylime/basis/ids.ts'
import type { Agent } from '../../../plugins/spire-api/gen/spire/api/types/agent.ts'
import { type FakeNode, newFakeNode } from '../../fakes/fake-node.ts'
import { fakeEntry } from '../../fakes/fake-spire-server.ts'
import type { AgentFields } from '../../fakes/verifier-agent.ts'
import { actAt, type Done, type FakeSite, startFakeSite } from './towerkeep.ts'

let site: FakeSite
const node = (index: number): FakeNode => site.keylime.node(index)
const id = (index: number): string => node(index).agentId
const spiffeId = (agentId: string): string => `spiffe://example.org/spire/agent/keylime/${agentId}`
const act = (...words: readonly string[]): Promise<Done> => actAt(site, 'gc', ...words)

const UNREACHABLE = { operational_state: 7, last_event_id: 'internal.verifier.not_reachable' }
const NEVER = { attestation_count: 0, last_received_quote: 0, last_successful_attestation: 0 }
// Numbers come first when it is written anew.
const POLICY = '{"7": ["0a"], "mask": "0x80"}'

/** Keeps of a node what its leftover has, and removes the rest. */
function leave(one: FakeNode, kept: { record?: AgentFields; registered?: boolean; agent?: Partial<Agent> }): void {
  const { keylime, spire } = site
  keylime.verifier.remove(one.agentId)
  keylime.registrar.remove(one.agentId)
  spire.agents.delete(spiffeId(one.agentId))
  const { akTpm, ekTpm } = one.tpm
  if (kept.record !== undefined) keylime.verifier.enrol(one.agentId, akTpm, { tpm_policy: POLICY, ...kept.record })
  if (kept.registered === true) {
    const keys = { ek_tpm: ekTpm.toString('base64'), aik_tpm: akTpm.toString('base64') }
    keylime.registrar.register({ agent_id: one.agentId, ...keys, mtls_cert: 'a certificate' })
  }
  if (kept.agent !== undefined) spire.attest(one.agentId, kept.agent)
}

const OF_ANOTHER_TPM = 'twin-of-a-tpm'
const ORPHAN = 'spiffe://example.org/orphan'
const ALIAS = 'spiffe://example.org/hosts/none'

/** Leaves something of each kind behind; says which kind lies under which ID. */
function seed(): ReadonlyMap<string, string> {
  const { keylime, spire } = site
  leave(node(3), { registered: true })
  leave(node(4), { registered: true, record: { operational_state: 3, ...NEVER, has_runtime_policy: 1 } })
  leave(node(5), { registered: true, record: { operational_state: 1, ...NEVER } })
  leave(node(6), { record: UNREACHABLE, agent: {} })
  leave(node(7), { registered: true, record: { operational_state: 8 }, agent: {} })
  leave(newFakeNode(OF_ANOTHER_TPM, node(0).tpm), { registered: true, record: UNREACHABLE })
  leave(node(8), {})
  leave(newFakeNode(DEFAULT_AGENT_UUID, node(8).tpm), { registered: true, record: { operational_state: 9 } })
  leave(node(9), { agent: { x509svidExpiresAt: BigInt(Math.floor(Date.now() / 1000) - 60) } })
  leave(node(10), { agent: { banned: true } })
  leave(node(11), { registered: true, agent: {} })
  spire.entries.set('orphan', fakeEntry('orphan', ORPHAN, spiffeId('gone'), ['unix:uid:0']))
  const server = 'spiffe://example.org/spire/server'
  spire.entries.set('idle', fakeEntry('idle', ALIAS, server, ['keylime:agent-id:none']))
  expect(keylime.nodes.length).toBe(NODES)
  return new Map([
    [id(3), 'registered-only'],
    [id(4), 'never-quoted'],
    [id(5), 'half-enrolled'],
    [id(6), 'registration-lost'],
    [id(7), 'terminated'],
    [OF_ANOTHER_TPM, 'shared-ek'],
    [DEFAULT_AGENT_UUID, 'default-uuid'],
    [id(9), 'expired-agent'],
    [id(10), 'banned-agent'],
    [id(11), 'unenrolled-agent'],
    ['orphan', 'orphan-entry'],
    ['idle', 'idle-alias'],
  ])
}

/** Sets up what looks like a leftover and is none: 0 to 2 are well, the others have their troubles. */
function seedHealthy(): void {
  const { keylime, spire } = site
  const registered = { registered: true } as const
  leave(node(12), { ...registered, record: UNREACHABLE, agent: {} })
  leave(node(13), { ...registered, record: { operational_state: 9 }, agent: { banned: true } })
  leave(node(14), { ...registered, record: { operational_state: 1, ...NEVER }, agent: {} })
  leave(node(15), { ...registered, record: { operational_state: 'no number' } })
  leave(node(16), { record: UNREACHABLE })
  keylime.registrar.register({ agent_id: id(16), ek_tpm: 'no base64', aik_tpm: 'no base64' })
  // Two IDs of one TPM that both pass now: which of them is stale is not known yet.
  leave(newFakeNode('second-of-a-tpm', node(1).tpm), { ...registered, record: {}, agent: {} })
  spire.attest('spiffe://example.org/spire/agent/join_token/t')
  const group = 'spiffe://example.org/hosts/all'
  const selectors = [{ type: 'keylime', value: 'policy:pcr' }]
  spire.attest(id(0), { selectors })
  spire.entries.set('group', fakeEntry('group', group, 'spiffe://example.org/spire/server', ['keylime:policy:pcr']))
  const parents = [group, spiffeId(id(0)), spiffeId(id(15)), 'spiffe://example.org/spire/agent/join_token/t']
  for (let at = 0; at < 32; at += 1) {
    const parent = parents[at % parents.length] ?? group
    spire.entries.set(`w${at}`, fakeEntry(`w${at}`, `spiffe://example.org/w${at}`, parent, ['unix:uid:0']))
  }
}

/** Everything that the four sources hold, by ID. */
async function holdings(): Promise<Readonly<Record<'registrar' | 'verifier' | 'agents' | 'entries', string[]>>> {
  await using sources = await openSources({ configFile: site.config }, 3_000)
  const { hosts, failed } = await gatherFleet(sources, new AbortController().signal)
  expect(failed).toEqual({ registrar: undefined, verifier: undefined, spire: undefined })
  const ids = (isThere: (host: FleetHost) => boolean): string[] =>
    hosts
      .filter(isThere)
      .map(({ agentId }) => agentId)
      .toSorted()
  return {
    registrar: ids(({ registered, isRegistrationBroken }) => registered !== undefined || isRegistrationBroken),
    verifier: ids(({ record, broken }) => record !== undefined || broken !== undefined),
    agents: [...site.spire.agents.keys()].toSorted(),
    entries: [...site.spire.entries.values()].map(({ spiffeId: of }) => of?.path ?? '').toSorted(),
  }
}

const NODES = 17
let before: Awaited<ReturnType<typeof holdings>>
let seeded: ReadonlyMap<string, string>
beforeEach(async () => {
  site = await startFakeSite({ nodes: NODES, tpms: NODES, ak: 'ec-p256' })
  for (let index = 3; index < 12; index += 1) leave(node(index), {})
  seedHealthy()
  before = await holdings()
  seeded = seed()
})
afterEach(async () => site[Symbol.asyncDispose]())

/** Keeps a runtime policy at the verifier under an agent's ID, as its enrolment with a text does. */
async function keepRuntimePolicy(agentId: string): Promise<void> {
  await using sources = await openSources({ configFile: site.config }, 3_000)
  await using keylime = openKeylimeAdmin(sources.services, 3_000)
  await keylime.verifiers[0]?.admin.runtimePolicies.create({ name: agentId, text: '{"digests":{}}' })
  site.keylime.verifier.set(agentId, { has_runtime_policy: 1 })
}

/** Tells with which policies an agent is enrolled. */
async function enrolledWith(agentId: string): Promise<readonly unknown[]> {
  await using sources = await openSources({ configFile: site.config }, 3_000)
  const { hosts } = await gatherFleet(sources, new AbortController().signal)
  const record = hosts.find((host) => host.agentId === agentId)?.record?.value
  return [record?.tpmPolicy?.replaceAll(/\s/g, ''), record?.hasRuntimePolicy]
}

describe('gc with a leftover of each kind', () => {
  it('reports exactly those, each under its kind, and nothing of a host that lives [T85] [P23]', async () => {
    expect(new Set(seeded.values())).toEqual(new Set(Object.keys(RUBBISH_KINDS)))
    const listed = await act()
    const found = listed.items.map(({ id: of = '', title = '' }): [string, string] => [of, title.split(': ')[1] ?? ''])
    expect([listed.exit, new Map(found)]).toEqual([1, seeded])
    expect(found).toHaveLength(12)
  })

  it('deletes those alone, and brings back what can come back from the undo file', async () => {
    await keepRuntimePolicy(id(5))
    const deleted = await act('--delete', '--yes')
    expect([deleted.exit, deleted.items.map(({ state }) => state)]).toEqual([0, Array(12).fill('done')])
    expect(await holdings()).toEqual(before)
    expect((await act()).exit).toBe(0)

    const folder = join(site.folder, 'journal')
    const undo = readdirSync(folder).find((name) => name.endsWith('.undo')) ?? ''
    const undone = await act('--undo', join(folder, undo), '--yes')
    // One had a policy that nobody could read, one had keys that no registrar knew: neither comes back weaker.
    expect([undone.exit, undone.summary['messages']]).toEqual([
      1,
      expect.arrayContaining([
        `${id(4)} is not enrolled: its runtime policy was not kept; enrol it with towerkeep enroll accept`,
        `${id(6)} is not enrolled: no registrar knows its keys`,
      ]),
    ])
    const after = await holdings()
    expect(after.entries).toEqual([...before.entries, '/hosts/none', '/orphan'].toSorted())
    const back = [id(5), id(7), OF_ANOTHER_TPM, DEFAULT_AGENT_UUID]
    expect(after.verifier).toEqual([...before.verifier, ...back].toSorted())
    expect(await enrolledWith(id(5))).toEqual([POLICY.replaceAll(/\s/g, ''), true])
    const again = await act('--undo', join(folder, undo), '--yes')
    expect(again.items.filter(({ state }) => state === 'already')).toHaveLength(back.length)
  })

  it.each(['registrar', 'verifier', 'spire'] as const)(
    'refuses while the %s is away, and touches nothing',
    async (source) => {
      const { keylime, spire } = site
      const [agents, entries] = [new Set(spire.agents.keys()), new Set(spire.entries.keys())]
      if (source === 'spire') spire.stop()
      else await keylime[source].close()
      const refused = await act('--delete', '--yes')
      expect([refused.exit, refused.summary['error']]).toEqual([
        69,
        expect.stringContaining(`the ${source} does not answer, so nothing was done`),
      ])
      expect([new Set(spire.agents.keys()), new Set(spire.entries.keys())]).toEqual([agents, entries])
      expect(spire.calls.filter(({ method }) => /Delete|Ban/.test(method))).toEqual([])
    },
  )

  it('takes a host that lives out at the verifier first, since it attests again as long as that vouches for it', async () => {
    const { agents } = site.spire
    const remove = agents.delete.bind(agents)
    const deletedBefore: number[] = []
    agents.delete = (key) => {
      deletedBefore.push(site.keylime.verifier.stats.methods['DELETE'] ?? 0)
      return remove(key)
    }
    const gone = await act(id(1), '--delete', '--yes')
    expect([gone.exit, deletedBefore, agents.has(spiffeId(id(1)))]).toEqual([0, [1], false])
  })

  it('takes the entries under a host along, keeps those of others, and brings them back from the undo file', async () => {
    const entriesUnder = (parent: string): readonly string[] =>
      [...site.spire.entries.values()]
        .filter(({ parentId }) => `spiffe://${parentId?.trustDomain}${parentId?.path}` === parent)
        .map(({ spiffeId: of }) => of?.path ?? '')
        .toSorted()
    leave(node(0), { registered: true, record: {}, agent: {} })
    const [own, all] = [entriesUnder(spiffeId(id(0))), site.spire.entries.size]
    expect(own).toHaveLength(8)
    const gone = await act(id(0), '--delete', '--yes')
    expect([gone.exit, gone.items.length, entriesUnder(spiffeId(id(0)))]).toEqual([0, 9, []])
    expect((await holdings()).entries).toHaveLength(all - 8)
    const orphans = (await act()).items.filter(({ title }) => title?.includes('orphan-entry'))
    expect(orphans.map(({ id: of }) => of)).toEqual(['orphan'])

    const undo = String(gone.summary['undo']).split(' ').at(-1) ?? ''
    const undone = await act('--undo', undo, '--yes')
    expect([undone.exit, undone.summary['messages']]).toEqual([0, []])
    expect(entriesUnder(spiffeId(id(0)))).toEqual(own)
  })

  it('refuses when more than a third of everything would go', async () => {
    for (const key of site.spire.entries.keys()) if (/^w\d/.test(key)) site.spire.entries.delete(key)
    const refused = await act('--delete', '--yes')
    expect([refused.exit, refused.summary['error']]).toEqual([3, expect.stringContaining('more than a third')])
    expect(site.spire.calls.filter(({ method }) => /Delete|Ban/.test(method))).toEqual([])
  })

  it('says so when a source does not delete what it was told to', async () => {
    site.spire.failures.set('BatchDeleteEntry', [status.INTERNAL, 'database is locked'])
    const failed = await act('--delete', '--yes')
    expect([failed.exit, JSON.stringify(failed.summary['messages'])]).toEqual([
      2,
      expect.stringContaining('database is locked'),
    ])
  })
})
