import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { FULL_POLICY } from '../../lab/tower/full-policy.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import type { Tower } from '../../lab/tower/tower.ts'
import { attestedAgain, hasSvid, onTower, serialOf, svidReturns, towerParts, useTower } from './scenario.ts'

const goDir = process.env.GO_PLUGIN_DIR ?? ''
const goServer = join(goDir, 'keylime-attestor-server')
const goAgent = join(goDir, 'keylime-attestor-agent')
const noGoPair =
  existsSync(goServer) && existsSync(goAgent) ? undefined : 'GO_PLUGIN_DIR names no folder with the Go pair'

/** Starts a host's Keylime agent with or without TLS, and has the verifier poll it so. */
async function restartKeylimeAgent(tower: Tower, host: TowerHost, mtls: boolean): Promise<void> {
  await tower.keylime.admin.unenrol(host.agentId)
  await tower.keylime.stop('verifier')
  await tower.keylime.start('verifier', { agentMtls: mtls })
  await host.stopKeylimeAgent()
  await host.startKeylimeAgent({ mtls })
  await tower.keylime.admin.enrol(host.agentId, FULL_POLICY)
  await tower.keylime.admin.waitForQuotes(host.agentId)
}

async function idsAtServer(tower: Tower): Promise<readonly string[]> {
  return (await tower.spire.agentList()).map(({ id }) => `spiffe://${id.trust_domain}${id.path}`).toSorted()
}

onTower('a host that moves from HTTP to HTTPS', () => {
  const tower = useTower('twhttp')

  it('keeps its SPIFFE ID and its workload’s [T38] [T27]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('a Keylime agent moves from HTTP to HTTPS', ['T27', 'T38'])
    const { spiffeId } = host
    await host.spire.pause()
    await restartKeylimeAgent(tower(), host, false)
    await host.startSpireAgent(tower().bundleFile, { data: { keylime_agent_use_tls: false } })
    await svidReturns(host)
    expect(host.spire.target.readLog()).toMatch(/level=warning.*keylime_agent_use_tls|keylime_agent_use_tls.*clear/)
    line.mark('before: HTTP; attested, with a warning that evidence travels in the clear')
    const before = await tower().spire.agentShow(spiffeId)
    await line.step('Keylime agent restarted with mutual TLS, verifier with enable_agent_mtls; enrolled anew', () =>
      restartKeylimeAgent(tower(), host, true),
    )
    await line.step('SPIRE agent restarted with keylime_agent_use_tls', () => host.startSpireAgent(tower().bundleFile))
    await svidReturns(host)
    expect(host.spiffeId).toBe(spiffeId)
    const after = await tower().spire.agentShow(spiffeId)
    expect(after?.x509svid_serial_number).not.toBe(before?.x509svid_serial_number)
    line.mark(`after: HTTPS; the same ID, the workload has its SVID without a new entry`)
    line.end()
  })
})

onTower(
  'a fleet that moves from the Go pair to ours',
  () => {
    const tower = useTower('twgopair', {}, { serverPlugin: goServer, agentPlugin: goAgent })

    it('moves the server first, then host by host, and keeps every SPIFFE ID and workload [T06] [T04]', async () => {
      const line = new Timeline('from the Go pair to ours, host by host', ['T04', 'T06'])
      const ids = await idsAtServer(tower())
      const hosts = [...tower().hosts.values()]
      await Promise.all(hosts.map((host) => svidReturns(host)))
      expect(ids).toEqual(hosts.map(({ spiffeId }) => spiffeId).toSorted())
      line.mark('the Go pair on all three hosts: attested, every workload has its SVID')
      const ours = await towerParts()
      await line.step('server half replaced, SPIRE server restarted', () =>
        tower().replaceServerHalf(ours.serverPlugin),
      )
      expect(await Promise.all(hosts.map((host) => hasSvid(host)))).toEqual(hosts.map(() => true))
      for (const host of hosts) {
        const serial = await serialOf(tower(), host)
        await tower().spire.evict(host.spiffeId)
        await attestedAgain(tower(), host, serial)
        line.mark(`${host.name}: the Go agent half attests with our server half`)
        await host.startSpireAgent(tower().bundleFile, { plugin: ours.agentPlugin })
        await svidReturns(host)
        line.mark(`${host.name}: our agent half in its place, the same ID`)
      }
      expect(await idsAtServer(tower())).toEqual(ids)
      line.end()
    })
  },
  noGoPair,
)
