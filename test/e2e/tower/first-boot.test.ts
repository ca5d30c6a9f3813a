import { setTimeout as delay } from 'node:timers/promises'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { expect, it } from 'vitest'
import { pollUntil } from '../../lab/processes/poll.ts'
import { FULL_POLICY } from '../../lab/tower/full-policy.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, fetchJwt, hasSvid, onTower, serialOf, svidReturns, useTower } from './scenario.ts'

/** Long enough for ten quotes. */
const WINDOW_MS = 20_000
const PER_MINUTE = 25

const tower = useTower('twfirst')

function standings(): Promise<readonly (AgentRecord | undefined)[]> {
  return Promise.all([...tower().hosts.values()].map(({ agentId }) => tower().keylime.admin.enrolled(agentId)))
}

onTower('the first boot of a fleet', () => {
  it('goes in five steps: measured, registered, attested, identified, at work [T31] [T03] [T02] [T10]', async () => {
    const line = new Timeline('first boot of one more host', ['T02', 'T03', 'T10', 'T12', 'T31', 'T66'])
    const host = await line.step(
      '1 measured: TPM with an EK certificate, firmware, loader, kernel and files in its PCRs',
      () => tower().raiseNext(),
    )
    await line.step('2 registered: certificates from OpenBao, Keylime agent known to the registrar', () =>
      tower().register(host),
    )
    await tower().createWorkload(host)
    await host.startSpireAgent(tower().bundleFile)
    const refusal = await host.spire.target.waitForLog(/FailedPrecondition.*\[KL-[A-Z-]+\]/)
    expect(refusal).toContain('not enrolled')
    expect(await hasSvid(host)).toBe(false)
    line.mark(`  not enrolled yet: ${/KL-[A-Z-]+/.exec(refusal)?.[0]}, no SVID for its workload`)
    await tower().keylime.admin.enrol(host.agentId, FULL_POLICY)
    await tower().keylime.admin.waitForQuotes(host.agentId)
    line.mark('3 attested: enrolled, and the first quote has passed')
    await host.spire.target.healthy()
    line.mark(`4 identified: ${host.spiffeId}`)
    await svidReturns(host)
    line.mark('5 at work: its workload has an X509-SVID')
    expect(line.elapsed()).toBeLessThan(120)
    line.end()
  })

  it('gives every host an identity by Keylime and nothing else [T01] [T04] [T07] [T09] [T35] [T41] [T44]', async () => {
    const agents = await tower().spire.agentList()
    expect(agents.length).toBe(tower().hosts.size)
    const ids = agents.map(({ id }) => `spiffe://${id.trust_domain}${id.path}`)
    expect(ids.toSorted()).toEqual([...tower().hosts.values()].map(({ spiffeId }) => spiffeId).toSorted())
    expect(new Set(agents.map(({ attestation_type: type }) => type))).toEqual(new Set(['keylime']))
    expect(agents.every(({ can_reattest: can }) => can)).toBe(true)
    expect(tower().spire.process().readLog()).toMatch(
      /Plugin loaded.*external=true.*plugin_name=keylime.*plugin_type=NodeAttestor/,
    )
  })

  it('gives workloads X.509 and JWT identities by the selectors of their host [T52] [T54] [T67] [P19]', async () => {
    for (const host of tower().hosts.values()) {
      const [svid] = await host.spire.target.fetchX509()
      expect(svid?.spiffeId).toBe(`spiffe://${DOMAIN}/workload/${host.name}`)
      expect(await fetchJwt(host, 'openbao')).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/)
    }
    const one = tower().host('auth')
    const alias = `spiffe://${DOMAIN}/only-auth`
    await tower().spire.createEntry({ spiffeId: alias, node: true, selectors: [`keylime:agent_id:${one.agentId}`] })
    await tower().spire.createEntry({
      spiffeId: `spiffe://${DOMAIN}/workload/by-alias`,
      parentId: alias,
      selectors: ['unix:uid:0'],
    })
    await pollUntil('the workload behind the alias', async () =>
      (await idsOf(one)).includes(`spiffe://${DOMAIN}/workload/by-alias`),
    )
    expect(await idsOf(tower().host('ca'))).toEqual([`spiffe://${DOMAIN}/workload/ca`])
  })

  it('keeps quoting every two seconds while SPIRE attests [T16] [T37]', async () => {
    // 25 a minute is what the fleet's operator promises; a quote takes longer while the machine has other work.
    await pollUntil(
      'every host to be quoted at least 25 times a minute',
      async () => {
        const [before, began] = [await standings(), performance.now()]
        await delay(WINDOW_MS)
        const after = await standings()
        const minutes = (performance.now() - began) / 60_000
        const perMinute = after.map(
          (now, index) => ((now?.attestationCount ?? 0) - (before[index]?.attestationCount ?? 0)) / minutes,
        )
        if (Math.min(...perMinute) >= PER_MINUTE) return true
        throw new Error(`${perMinute.map((rate) => Math.round(rate)).join(', ')} a minute`)
      },
      { deadlineMs: 180_000 },
    )
    expect((await standings()).every((now) => now?.attestationStatus === 'PASS')).toBe(true)
  })

  it('takes an evicted healthy host back under the same ID by itself [T35]', async () => {
    const host = tower().host('ca')
    const serial = await serialOf(tower(), host)
    const starts = host.spire.starts
    await tower().spire.evict(host.spiffeId)
    await attestedAgain(tower(), host, serial)
    expect(await serialOf(tower(), host)).toBeDefined()
    expect(host.spire.starts).toBe(starts)
  })
})

async function idsOf(host: TowerHost): Promise<readonly string[]> {
  return (await host.spire.target.fetchX509()).map(({ spiffeId }) => spiffeId).toSorted()
}
