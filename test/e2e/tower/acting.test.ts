import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { tamper } from '../../lab/tower/actions.ts'
import { runTowerkeepOn, startKeeper } from '../../lab/tower/keeping.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { onTower, svidGoes, svidReturns, useTower } from './scenario.ts'
import { documentOf, verbsOf } from './verbs.ts'

// One tower for all: raising it takes longer than any of these.
const tower = useTower('twact', { patience: 'short', webhook: true })

const { act, attempt, doctor, journal, read } = verbsOf(tower)

onTower('towerkeep doctor on the tower', () => {
  it('finds nothing on the healthy tower, on the server and on a node, within ten seconds [O05] [P24]', async () => {
    const keeper = await startKeeper(tower())
    const line = new Timeline('doctor on the healthy tower', ['O05'])
    try {
      const began = performance.now()
      const server = await read('doctor', '--journal', journal())
      expect(server.findings.filter(({ severity }) => severity !== 'info')).toEqual([])
      expect([server.exit, performance.now() - began < 10_000]).toEqual([0, true])
      line.mark(`${String(server.summary['checks'])} checks on host spire`)
      const node = documentOf(
        await runTowerkeepOn(tower(), 'auth', ['doctor', '--output', 'json', '--journal', journal()]),
      )
      expect(node.findings.filter(({ severity }) => severity !== 'info')).toEqual([])
      line.mark('and on host auth')
    } finally {
      await keeper.stop()
    }
    line.end()
  })

  it('says who is to cut hosts off when nobody does [O04]', async () => {
    expect(await doctor('spire')).toEqual(['TK-SPIRE-CUTOFF'])
  })
})

onTower('towerkeep brings hosts back and takes them away', () => {
  it('recovers a host that was away for too long, and never one whose measurements failed [O10] [T76] [P05]', async () => {
    const line = new Timeline('recover after an absence beyond the retries', ['O10'])
    const [away, tampered] = [tower().host('auth'), tower().host('ca')]
    await away.stopKeylimeAgent()
    await tamper(tampered)
    await tower().keylime.admin.waitForState(away.agentId, 'failed', 60_000)
    await tower().keylime.admin.waitForState(tampered.agentId, 'rejected', 60_000)
    line.mark('auth is given up, ca has failed its measurements')
    expect((await act('recover', '--within', '10s')).exit).toBe(3)
    await away.startKeylimeAgent()
    await delay(6_000)
    const recovered = await act('recover')
    line.mark('towerkeep recover')
    expect([recovered.exit, recovered.summary['recovered'], recovered.summary['refused']]).toEqual([1, 1, 1])
    expect(JSON.stringify(recovered.summary['advice'])).toContain('failed its measurements')
    expect([3, 5]).toContain((await tower().keylime.admin.enrolled(away.agentId))?.operationalState)
    expect((await tower().keylime.admin.enrolled(tampered.agentId))?.operationalState).toBe(9)
    // A polled agent is left alone: nothing to do.
    expect((await act('recover', 'auth')).summary['outcome']).toBe('nothing-to-do')
    expect(await doctor('keylime')).toContain('TK-KL-BUDGET')
    rmSync(journal(), { recursive: true, force: true })
    await tampered.reboot()
    await tower().keylime.admin.reactivate(tampered.agentId)
    await tower().keylime.admin.waitForState(tampered.agentId, 'polled')
    await svidReturns(tampered)
    line.end()
  })

  it('revokes a healthy host, and restores it only after it has proved itself anew [O15] [T53]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('revoke and restore', ['O15'])
    expect((await act('revoke', 'auth', '--reason', 'test')).exit).toBe(0)
    line.mark('banned, though Keylime is content')
    await svidGoes(host, 30_000)
    line.mark('its workloads have no identity any more')
    expect((await act('revoke', 'auth')).summary['outcome']).toBe('nothing-to-do')
    const early = await attempt('restore', 'auth', '--within', '60s')
    if (early.code !== 0) await delay(3_000)
    const restored = early.code === 0 ? documentOf(early) : await act('restore', 'auth', '--within', '60s')
    expect(restored.exit).toBe(0)
    await svidReturns(host)
    expect((await tower().spire.agentShow(host.spiffeId))?.banned).toBe(false)
    line.mark('back under the same SPIFFE ID')
    await tamper(host)
    await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    await tower().spire.ban(host.spiffeId)
    const refused = await attempt('restore', 'auth')
    expect([refused.code, refused.stdout]).toEqual([3, expect.stringContaining('KL-GATE-INVALID-QUOTE')])
    await host.reboot()
    await tower().keylime.admin.reactivate(host.agentId)
    await tower().keylime.admin.waitForState(host.agentId, 'polled')
    expect((await act('restore', 'auth', '--within', '60s')).exit).toBe(0)
    await svidReturns(host)
    line.end()
  })
})
