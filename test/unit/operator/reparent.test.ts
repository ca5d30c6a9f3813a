import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newFakeNode } from '../../fakes/fake-node.ts'
import { fakeEntry } from '../../fakes/fake-spire-server.ts'
import { causesIn, healthyMachine } from './machine.ts'
import { actAt, type Done, type FakeSite, startFakeSite, towerkeep } from './towerkeep.ts'

const spiffeId = (agentId: string): string => `spiffe://example.org/spire/agent/keylime/${agentId}`
const OLD = spiffeId('gone')

let site: FakeSite
let auth: string
beforeEach(async () => {
  site = await startFakeSite({ nodes: 1 })
  auth = site.keylime.node().agentId
  site.configure(`hosts = ["auth=${auth}"]`)
  site.spire.entries.set('e1', fakeEntry('e1', 'spiffe://example.org/web', OLD, ['unix:uid:0']))
  site.spire.entries.set('e2', fakeEntry('e2', 'spiffe://example.org/db', OLD, ['unix:uid:1']))
})
afterEach(async () => site[Symbol.asyncDispose]())

const reparent = (...words: readonly string[]): Promise<Done> => actAt(site, 'entries', 'reparent', ...words, '--yes')
const parents = (at = site): readonly string[] =>
  [...at.spire.entries.values()].map(({ parentId }) => parentId?.path.split('/').at(-1) ?? '')

describe('entries reparent', () => {
  it('moves all entries to the present ID of a host, has nothing to do then, and goes back by the reverse', async () => {
    const before = [...site.spire.entries.values()]
    const done = await reparent('gone', 'auth')
    const undo = `towerkeep entries reparent ${spiffeId(auth)} ${OLD}`
    expect([done.exit, done.summary['undo'], parents()]).toEqual([0, undo, [auth, auth]])
    expect((await reparent('gone', 'auth')).summary['outcome']).toBe('nothing-to-do')
    // Nobody has the old ID any more, so it is told by its SPIFFE ID.
    const back = await reparent(...undo.split(' ').slice(3))
    expect([back.exit, back.stderr]).toEqual([0, expect.stringContaining(`no agent is known under ${OLD}`)])
    const same = (entries: typeof before) => entries.map((entry) => ({ ...entry, revisionNumber: 0n }))
    expect(same([...site.spire.entries.values()])).toEqual(same(before))
  })

  it('names no way back that would take entries with it that were there before', async () => {
    site.spire.entries.set('e3', fakeEntry('e3', 'spiffe://example.org/own', spiffeId(auth), ['unix:uid:2']))
    const done = await reparent('gone', 'auth')
    expect([done.exit, done.summary['undo'] ?? null, parents()]).toEqual([0, null, [auth, auth, auth]])
  })

  it('moves those back that had moved when one of them could not', async () => {
    const { entries } = site.spire
    const get = entries.get.bind(entries)
    // Deleted by somebody else between list and change.
    entries.get = (id) => (id === 'e2' ? undefined : get(id))
    const failed = await reparent('gone', 'auth')
    expect([failed.exit, failed.summary['outcome'], parents()]).toEqual([2, 'undone', ['gone', 'gone']])
    expect(JSON.stringify(failed.summary['messages'])).toContain('entry not found')
  })

  it('refuses a host that is none', async () => {
    const refused = await reparent('gone', 'nobody')
    expect([refused.exit, refused.summary['error'], parents()]).toEqual([
      64,
      'nobody is no host; known are: auth',
      ['gone', 'gone'],
    ])
  })

  it('repairs what doctor names after uuid = "auto" has changed the ID of a host', async () => {
    await using machine = await healthyMachine()
    const { keylime, spire } = machine.site
    const old = keylime.node(0)
    spire.entries.set('e1', fakeEntry('e1', 'spiffe://example.org/web', spiffeId(old.agentId), ['unix:uid:0']))
    machine.edit('/etc/keylime/agent.conf', 'hash_ek', 'auto')
    // The Keylime agent was restarted: the same TPM under another ID.
    const next = newFakeNode('11111111-2222-4333-8444-555555555555', old.tpm)
    keylime.verifier.remove(old.agentId)
    keylime.registrar.remove(old.agentId)
    spire.agents.delete(spiffeId(old.agentId))
    keylime.enrol(next, { port: machine.agents[0]?.port })
    spire.attest(next.agentId)
    const found = await machine.doctor()
    expect(causesIn(found)).toContain('TK-ID-RANDOM')
    expect(found.find(({ id }) => id === 'TK-ID-ORPHAN')?.because).toEqual(['TK-ID-RANDOM'])

    const done = await actAt(machine.site, 'entries', 'reparent', old.agentId, next.agentId, '--yes')
    expect([done.exit, parents(machine.site)]).toEqual([0, [next.agentId]])
    expect((await machine.doctor()).map(({ id }) => id)).not.toContain('TK-ID-ORPHAN')
    const explained = await towerkeep('explain', next.agentId, '--config', machine.site.config)
    expect(explained.stdout).toContain('1: spiffe://example.org/web')
  })
})
