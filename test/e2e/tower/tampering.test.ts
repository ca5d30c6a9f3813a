import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { heal, rebootAndHeal, tamper } from '../../lab/tower/actions.ts'
import { GOOD_BOOT } from '../../lab/tower/boot-log.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, onTower, serialOf, svidGoes, svidReturns, useTower } from './scenario.ts'

const tower = useTower('twtamper')

/** Waits until a host's SPIRE agent has been refused with a text, and gives the line. */
function refused(host: TowerHost, text: RegExp): Promise<string> {
  return host.spire.target.waitForLog(text, 90_000)
}

onTower('a host that is not what it was', () => {
  it('is cut off when its identity ends, without anybody evicting it [T36]', async () => {
    const host = tower().host('ca')
    const line = new Timeline('tampered firmware, without eviction', ['T36'])
    await svidReturns(host)
    await line.step('PCR 7 extended', () => tamper(host))
    await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    line.mark('Keylime: state 9')
    expect(await refused(host, /KL-GATE-INVALID-QUOTE/)).toBeDefined()
    line.mark('the agent tried to renew its identity and was refused')
    await svidGoes(host)
    line.mark('the workload gets no SVID any more')
    await line.step('rebooted in good order; Keylime began anew', () => rebootAndHeal(tower(), host))
    await svidReturns(host)
    line.mark('the workload has its SVID again')
    line.end()
  })

  it('is refused when it boots another loader under the old event log [T18]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('altered boot behind an unaltered event log', ['T18', 'T71'])
    await line.step('rebooted with another loader', () =>
      host.reboot({ story: { ...GOOD_BOOT, loader: 'loader 6.66' }, log: GOOD_BOOT }),
    )
    const standing = await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    expect(standing.lastEventId).toMatch(/pcr_validation\.invalid_pcr_4|measured_boot\.invalid_pcr_\d/)
    line.mark(`Keylime: state 9, ${standing.lastEventId}`)
    await refused(host, /PermissionDenied.*KL-GATE-INVALID-QUOTE/)
    line.mark('attestation refused')
    await line.step('rebooted with the good loader; Keylime began anew', () => rebootAndHeal(tower(), host))
    await svidReturns(host)
    line.mark('the workload has its SVID again')
    line.end()
  })

  it('is refused when it runs a file that is not on the list [T19]', async () => {
    const host = tower().host('ca')
    const line = new Timeline('a file that is not on the list', ['T19', 'T72'])
    const serial = await serialOf(tower(), host)
    const digest = createHash('sha256').update('implant').digest('hex')
    await line.step('/tmp/implant measured', () => host.measured.measure({ path: '/tmp/implant', digest }))
    const standing = await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    expect(standing.lastEventId).toMatch(/^ima\.validation/)
    line.mark(`Keylime: state 9, ${standing.lastEventId}`)
    await tower().spire.evict(host.spiffeId)
    await refused(host, /PermissionDenied.*KL-GATE-INVALID-QUOTE/)
    line.mark('attestation refused')
    await line.step('rebooted without it; Keylime began anew', () => rebootAndHeal(tower(), host))
    await attestedAgain(tower(), host, serial)
    line.mark('attested again')
    line.end()
  })

  it('is told by its selectors what was really checked [T54] [P01]', async () => {
    const host = tower().host('spire')
    const shown = await tower().spire.agentShow(host.spiffeId)
    const values = (shown?.selectors ?? []).map(({ value }) => value)
    expect(values).toEqual(
      expect.arrayContaining([
        'policy:pcr:0',
        'policy:pcr:4',
        'policy:pcr:7',
        'policy:measured-boot-enrolled',
        'policy:runtime',
      ]),
    )
    expect(values).not.toContain('policy:none')
    await heal(tower(), host)
  })
})
