import { appendFileSync, copyFileSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_AGENT_UUID } from '@tower-of-omens/keylime'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { quotesOf } from '../../lab/services/keylime-admin.ts'
import { heal, tamper } from '../../lab/tower/actions.ts'
import { type BootStory, GOOD_BOOT } from '../../lab/tower/boot-log.ts'
import { FULL_POLICY } from '../../lab/tower/full-policy.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, onTower, serialOf, svidReturns, towerParts, useTower } from './scenario.ts'
import { type VerbDocument, verbsOf } from './verbs.ts'

/** A copy of the server half, which a scenario can replace. */
const plugin = join(mkdtempSync(join(tmpdir(), 'plugin-')), 'keylime-attestor-server')

beforeAll(async () => copyFileSync((await towerParts()).serverPlugin, plugin))
afterAll(() => rmSync(join(plugin, '..'), { recursive: true, force: true }))

// A random agent ID is no hash of a key, and is to be admitted before it is mended.
const options = { patience: 'short', serverData: { require_ek_uuid: false } } as const
const tower = useTower('twverbs', options, { serverPlugin: plugin })

const { act, attempt, doctor, doctorOn, journal, read } = verbsOf(tower)

const ANOTHER_UUID = '0b5e77a1-5d3c-4d0e-9d57-1f6c3a8e2b44'
const agentSpiffeId = (agentId: string): string => `spiffe://${DOMAIN}/spire/agent/keylime/${agentId}`
const workloadId = (name: string): string => `spiffe://${DOMAIN}/workload/${name}`

/** Restarts a host's Keylime agent under another ID, which is registered. */
async function reregister(host: TowerHost, uuid: string): Promise<string> {
  await host.stopKeylimeAgent()
  await host.startKeylimeAgent({ uuid })
  return host.agentId
}

/** A host whose Keylime agent has registered, and which nobody has enrolled. */
async function newHost(uuid = 'hash_ek'): Promise<TowerHost> {
  const host = await tower().raiseNext()
  await host.issueCertificates()
  await host.startKeylimeAgent({ uuid })
  return host
}

const kindsIn = ({ items }: VerbDocument): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    items.map(({ id, facts }) => {
      const { kind, name } = facts as { readonly kind: string; readonly name: string }
      return [name.startsWith('spiffe://') ? name : String(id), kind]
    }),
  )

const entriesNow = async (): Promise<readonly unknown[]> =>
  (await read('entries', 'list')).items.map(({ spiffe_id: id }) => id)

const ALIAS = `spiffe://${DOMAIN}/hosts/none`

/** Leaves something of seven kinds behind. */
async function seed() {
  const { admin } = tower().keylime
  const { spire } = tower()
  const [registered, silent] = [await newHost(), await newHost(ANOTHER_UUID)]
  await reregister(silent, DEFAULT_AGENT_UUID)
  await reregister(silent, 'hash_ek')
  await silent.stopKeylimeAgent()
  await admin.enrol(silent.agentId, FULL_POLICY)
  const banned = await newHost()
  await tower().enrol(banned)
  await banned.startSpireAgent(tower().bundleFile)
  await banned.spire.target.healthy()
  await banned.pause()
  await spire.ban(banned.spiffeId)
  await admin.unenrol(banned.agentId)
  await admin.unregister(banned.agentId)
  const selectors = ['unix:uid:0']
  await spire.createEntry({ spiffeId: workloadId('left'), parentId: agentSpiffeId('gone'), selectors })
  await spire.createEntry({ spiffeId: ALIAS, node: true, selectors: ['keylime:nothing:here'] })
  await admin.waitForState(silent.agentId, 'failed', 60_000)
  const hosts = {
    [registered.agentId]: 'registered-only',
    [silent.agentId]: 'never-quoted',
    [banned.agentId]: 'banned-agent',
    [ANOTHER_UUID]: 'shared-ek',
    [DEFAULT_AGENT_UUID]: 'default-uuid',
  }
  return {
    silent,
    seeded: { ...hosts, [workloadId('left')]: 'orphan-entry', [ALIAS]: 'idle-alias' },
    /** Removes what is there of it, however far the scenario came. */
    sweep: async () => {
      for (const spiffeId of [workloadId('left'), ALIAS, workloadId('more')]) await spire.deleteEntries(spiffeId)
      for (const { name } of [registered, silent, banned]) await tower().removeHost(name)
      for (const id of Object.keys(hosts)) if ((await admin.registered(id)) !== undefined) await admin.unregister(id)
    },
  }
}

onTower('what hosts leave behind', () => {
  it('is repaired when an agent ID keeps changing: doctor names it, entries reparent brings the workload back [O18] [T83] [P06] [P19]', async () => {
    const line = new Timeline('uuid = "auto", and entries reparent', ['O18', 'T83'])
    const host = await newHost('auto')
    const first = host.agentId
    await tower().enrol(host)
    await tower().createWorkload(host)
    await host.startSpireAgent(tower().bundleFile)
    await svidReturns(host)
    line.mark(`${host.name} works under the random ID ${first.slice(0, 8)}`)
    const second = await reregister(host, 'auto')
    expect(second).not.toBe(first)
    expect(await doctorOn(host.name, 'identity')).toEqual(['TK-ID-RANDOM'])
    expect(await doctor('identity')).toEqual(['TK-ID-SHARED-EK'])
    line.mark('its Keylime agent has taken another one at its restart: doctor names the setting')
    await tower().keylime.admin.unenrol(first)
    await reregister(host, 'hash_ek')
    await tower().enrol(host)
    expect(await doctorOn(host.name, 'identity')).toEqual([])
    await host.spire.pause()
    await host.spire.target.forget()
    host.spire.start()
    await host.spire.target.healthy()
    expect(await host.spire.target.fetchX509().catch(() => [])).toEqual([])
    line.mark('uuid = "hash_ek": attested, but its entry is under the first ID')
    const moved = await act('entries', 'reparent', agentSpiffeId(first), host.name)
    expect([moved.exit, moved.summary['undo']]).toEqual([
      0,
      `towerkeep entries reparent ${host.spiffeId} ${agentSpiffeId(first)}`,
    ])
    expect((await host.spire.target.waitForSvid(workloadId(host.name))).spiffeId).toBe(workloadId(host.name))
    line.mark('towerkeep entries reparent: its workload has its SVID again')
    const left = await read('gc', '--journal', journal())
    expect(kindsIn(left)).toEqual({ [first]: 'shared-ek', [second]: 'shared-ek' })
    expect((await act('gc', '--delete')).exit).toBe(0)
    expect((await read('gc', '--journal', journal())).items).toEqual([])
    line.mark('towerkeep gc --delete: both random IDs are gone')
    line.end()
  })

  it('is found by gc to the last record, deleted, and brought back from the undo file; nothing healthy is touched [O17] [T85] [P23]', async () => {
    const line = new Timeline('gc', ['O17'])
    const { admin } = tower().keylime
    const { seeded, silent, sweep } = await seed()
    line.mark('seven kinds of leftovers are seeded')
    try {
      expect(kindsIn(await read('gc', '--journal', journal()))).toEqual(seeded)
      const tooMuch = await attempt('gc', '--delete')
      expect([tooMuch.code, tooMuch.stdout]).toEqual([3, expect.stringContaining('more than a third')])
      for (let at = 0; at < 8; at += 1) {
        const { spiffeId: parentId } = tower().host('ca')
        await tower().spire.createEntry({
          spiffeId: workloadId('more'),
          parentId,
          selectors: [`unix:uid:${4711 + at}`],
        })
      }
      await tower().keylime.stop('registrar')
      const blind = await attempt('gc', '--delete')
      await tower().keylime.start('registrar')
      expect([blind.code, blind.stdout]).toEqual([69, expect.stringContaining('registrar')])
      line.mark('refused while it would be more than a third, and while the registrar is away')
      const deleted = await act('gc', '--delete')
      expect([deleted.exit, deleted.items.length]).toEqual([0, 7])
      expect((await read('gc', '--journal', journal())).items).toEqual([])
      expect(await entriesNow()).not.toContain(workloadId('left'))
      expect(await admin.enrolled(silent.agentId)).toBeUndefined()
      for (const host of ['spire', 'auth', 'ca']) await svidReturns(tower().host(host))
      line.mark('deleted, and nothing else: every workload has its SVID')
      const file = join(journal(), readdirSync(journal()).findLast((name) => name.endsWith('.undo')) ?? '')
      expect((await act('gc', '--undo', file)).exit).toBe(0)
      expect(await entriesNow()).toEqual(expect.arrayContaining([workloadId('left'), ALIAS]))
      const policy: unknown = JSON.parse((await admin.enrolled(silent.agentId))?.tpmPolicy ?? '{}')
      expect(policy).toEqual(FULL_POLICY.tpmPolicy)
      line.mark('brought back from the undo file')
    } finally {
      await sweep()
    }
    line.end()
  })
})

/** An update of boot loader and kernel: PCRs 4, 8 and 9 change. */
const UPDATED: BootStory = { ...GOOD_BOOT, loader: 'loader 2.13', kernel: 'kernel 6.13' }
const UPDATED_PCRS = [4, 8, 9]

/** Waits until a host has passed a quote of what it runs now. */
async function passes(host: TowerHost): Promise<void> {
  const { admin } = tower().keylime
  // A quote may be under way, so the second one counts.
  await admin.waitForQuotes(host.agentId, quotesOf(await admin.enrolled(host.agentId)) + 1)
}

const isRefused = (host: TowerHost) => tower().keylime.admin.waitForState(host.agentId, 'rejected', 60_000)

/** Looks at a host's record until it is ended, and notes what was ever enrolled without values for these PCRs. */
function watchPolicy(host: TowerHost): { end(): Promise<readonly string[]> } {
  const weak: string[] = []
  const ended = new AbortController()
  const watching = (async () => {
    while (!ended.signal.aborted) {
      const policy = (
        await tower()
          .keylime.admin.enrolled(host.agentId)
          .catch(() => undefined)
      )?.tpmPolicy
      if (policy !== undefined && !UPDATED_PCRS.every((pcr) => policy.includes(`"${pcr}":`))) weak.push(policy)
      await delay(200)
    }
  })()
  return {
    end: async () => {
      ended.abort()
      await watching
      return weak
    },
  }
}

onTower('towerkeep policy and pin', () => {
  it('takes a baseline, names what a kernel update changed, and lets both boots pass for a while, never without a policy [O19] [T71] [T72] [P26]', async () => {
    const line = new Timeline('policy baseline, diff, approve', ['O19', 'T71', 'T72'])
    const host = tower().host('ca')
    const folders = ['--baselines', join(tower().dir, 'baselines')]
    const windows = ['--windows', join(tower().dir, 'windows')]
    expect((await act('policy', 'baseline', 'ca', '--pcr', '0,4,7,8,9', ...folders)).exit).toBe(0)
    expect((await read('policy', 'diff', 'ca')).exit).toBe(0)
    line.mark('baseline of PCRs 0, 4, 7, 8, 9 enrolled')
    const watched = watchPolicy(host)
    try {
      await tamper(host)
      await isRefused(host)
      line.mark('PCR 7 tampered with: refused')
      await host.reboot({ story: UPDATED })
      await tower().keylime.admin.reactivate(host.agentId)
      await isRefused(host)
      line.mark('another boot loader and kernel have booted: refused')
      const diff = await read('policy', 'diff', 'ca')
      const changed = diff.items.filter(({ same }) => same === false)
      expect([diff.exit, changed.map(({ pcr }) => pcr)]).toEqual([1, UPDATED_PCRS])
      expect(changed.map(({ log }) => log)).toEqual(UPDATED_PCRS.map(() => 'leads to the value'))
      expect(changed.flatMap(({ events }) => events)).toEqual(
        expect.arrayContaining([expect.stringContaining('loader 2.13'), expect.stringContaining('kernel 6.13')]),
      )
      line.mark('towerkeep policy diff names the events behind PCRs 4, 8 and 9')
      expect((await act('policy', 'approve', 'ca', '--window', '2h', ...windows)).exit).toBe(0)
      await passes(host)
      line.mark('approved for two hours: the new boot passes')
      await host.reboot()
      await passes(host)
      line.mark('the old one too')
      await host.reboot({ story: UPDATED })
      expect((await act('policy', 'approve', 'ca', '--end', ...windows)).exit).toBe(0)
      await passes(host)
      await host.reboot()
      await isRefused(host)
      line.mark('after the window the old boot is refused, and the new one passes')
      await host.reboot({ story: UPDATED })
      await heal(tower(), host)
      await host.measured.measure({ path: '/usr/bin/unlisted', digest: 'ab'.repeat(32) })
      await isRefused(host)
      line.mark('a file that is not on its list: refused, since the list went along with each policy')
    } finally {
      expect(await watched.end()).toEqual([])
      line.mark('at no moment was it enrolled without values for PCRs 4, 8, 9')
      await tower().keylime.admin.unenrol(host.agentId)
      await host.reboot()
      await tower().enrol(host)
      await svidReturns(host)
    }
    line.end()
  })

  it('sees a plugin file that was replaced under its process, and pins what SPIRE would refuse to start [O20] [T87] [P16]', async () => {
    const line = new Timeline('pin', ['O20', 'T87'])
    const { spire } = tower()
    expect([(await read('pin', '--check')).exit, await doctor('plugin')]).toEqual([0, []])
    copyFileSync(plugin, `${plugin}.next`)
    appendFileSync(`${plugin}.next`, '\0')
    renameSync(`${plugin}.next`, plugin)
    expect([(await read('pin', '--check')).exit, await doctor('plugin')]).toEqual([2, ['TK-PLUGIN-SWAPPED']])
    line.mark('the file was replaced: doctor names it, pin --check exits 2')
    await spire.stop()
    await expect(spire.start()).rejects.toThrow(/checksum/i)
    line.mark('the SPIRE server refuses to start it')
    const pinned = await act('pin', '--write', spire.confFile)
    expect([pinned.exit, pinned.summary['outcome']]).toEqual([0, 'done'])
    await spire.start()
    expect([(await read('pin', '--check')).exit, await doctor('plugin')]).toEqual([0, []])
    const host = tower().host('auth')
    const serial = await serialOf(tower(), host)
    await spire.evict(host.spiffeId)
    await attestedAgain(tower(), host, serial)
    line.mark('towerkeep pin --write: it starts, and attests')
    line.end()
  })
})
