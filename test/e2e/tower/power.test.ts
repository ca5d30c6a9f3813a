import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { meaningOf } from '../../lab/services/keylime-admin.ts'
import { expire, heal, powerCut, renew } from '../../lab/tower/actions.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, hasSvid, onTower, serialOf, svidReturns, useTower } from './scenario.ts'

const tower = useTower('twpower')

/** How long the verifier waits for a silent host in this tower: five tries, one second apart. */
const PATIENCE_MS = 6_000

async function countOf(host: TowerHost): Promise<number> {
  return (await tower().keylime.admin.enrolled(host.agentId))?.attestationCount ?? 0
}

onTower('power, outages and expiry', () => {
  it('brings a rebooted host back by itself within the patience of Keylime', async () => {
    const host = tower().host('auth')
    const line = new Timeline('reboot within the patience of Keylime', ['T76'])
    const before = await countOf(host)
    await line.step('rebooted, one second without power', () => host.reboot({ away: delay(1_000) }))
    await tower().keylime.admin.waitForQuotes(host.agentId, before)
    line.mark('Keylime went on quoting; nobody did anything')
    await svidReturns(host)
    line.mark('the workload has its SVID')
    expect(meaningOf(await tower().keylime.admin.enrolled(host.agentId))).toBe('polled')
    line.end()
  })

  it('brings a host back that was away longer than Keylime waits, by one command', async () => {
    const host = tower().host('ca')
    const line = new Timeline('reboot beyond the patience of Keylime', ['T76'])
    const away = tower()
      .keylime.admin.waitForState(host.agentId, 'failed', PATIENCE_MS * 5)
      .then(() => undefined)
    await line.step('rebooted, away until Keylime gave it up: state 7', () => host.reboot({ away }))
    const refusal = await host.spire.target.waitForLog(/FailedPrecondition.*\[KL-GATE-[A-Z-]+\]/)
    expect(refusal).toContain('not_reachable')
    line.mark('attestation: not yet (FAILED_PRECONDITION), so the SPIRE agent waits')
    const healed = performance.now()
    await line.step('Keylime told to begin anew', () => heal(tower(), host))
    await svidReturns(host)
    expect((performance.now() - healed) / 1000).toBeLessThan(30)
    line.mark('the workload has its SVID')
    line.end()
  })

  it('names a power cut for what it is, and heals when the clock is set right', async () => {
    const host = tower().host('auth')
    const line = new Timeline('power cut')
    await line.step('power cut and back: the TPM clock jumped back', () => powerCut(host))
    const standing = await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    line.mark(`Keylime: state 9, ${standing.lastEventId}`)
    await tower()
      .spire.evict(host.spiffeId)
      .catch(() => undefined)
    expect(await host.spire.target.waitForLog(/PermissionDenied.*KL-GATE-INVALID-QUOTE/, 60_000)).toContain(
      'quote_validation',
    )
    line.mark('attestation refused: the quote contradicts the clock')
    await line.step('clock set forward, Keylime began anew', () => heal(tower(), host))
    await svidReturns(host)
    line.mark('the workload has its SVID')
    line.end()
  })

  it('gives no new identity while the verifier is down, and never fails open [T60] [T33] [T73]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('verifier down', ['T33', 'T60', 'T73'])
    await line.step('verifier stopped', () => tower().keylime.stop('verifier'))
    expect(await hasSvid(host)).toBe(true)
    line.mark('an SVID that was issued goes on until it ends')
    await tower().spire.evict(host.spiffeId)
    const refusal = await host.spire.target.waitForLog(/Unavailable.*verifier.*\[KL-[A-Z-]+\]/, 60_000)
    expect(refusal).toContain('refused')
    line.mark('re-attestation: UNAVAILABLE, the verifier refused the connection')
    expect(await tower().spire.agentShow(host.spiffeId)).toBeUndefined()
    await line.step('verifier started', () => tower().keylime.start('verifier'))
    await svidReturns(host)
    line.mark('the workload has its SVID')
    line.end()
  })

  it('is served by a registrar that was restarted [T73]', async () => {
    const host = tower().host('ca')
    await tower().keylime.stop('registrar')
    await tower().keylime.start('registrar')
    const serial = await serialOf(tower(), host)
    await tower().spire.evict(host.spiffeId)
    await attestedAgain(tower(), host, serial)
    expect(await serialOf(tower(), host)).toBeDefined()
  })

  it("says so when a Keylime agent's certificate has expired, and heals when it is renewed [T13] [P10]", async () => {
    const host = tower().host('ca')
    const line = new Timeline("a Keylime agent's certificate expires", ['T13'])
    await line.step('its certificate has expired', () => expire(host))
    await tower().keylime.admin.waitForState(host.agentId, 'failed', PATIENCE_MS * 5)
    line.mark('Keylime: state 7, not reachable; it names no certificate')
    await tower()
      .spire.evict(host.spiffeId)
      .catch(() => undefined)
    expect(await host.spire.target.waitForLog(/certificate.*expired|expired.*certificate/, 60_000)).toBeDefined()
    line.mark('the agent half names the certificate and its end')
    await line.step('renewed', () => renew(tower(), host))
    await svidReturns(host)
    line.mark('the workload has its SVID')
    line.end()
  })

  it('attests while OpenBao is sealed, and renews when it is not [T92] [P14]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('OpenBao sealed at boot', ['T92'])
    await line.step('OpenBao sealed', () => tower().bao.seal())
    await line.step('host rebooted', () => host.reboot())
    await svidReturns(host)
    line.mark('attested with the certificates it has')
    await expect(renew(tower(), host)).rejects.toThrow(/sealed/i)
    line.mark('renewal refused: OpenBao is sealed')
    await line.step('OpenBao unsealed', () => tower().bao.unseal())
    await line.step('renewed', () => renew(tower(), host))
    line.end()
  })

  it('refuses a host whose record was put back to state 3 by hand, since nobody quotes it any more [T77] [P03]', async () => {
    const host = tower().host('ca')
    const line = new Timeline('state 3 written behind the back of the verifier', ['T77'])
    await tower().keylime.admin.stopAgent(host.agentId)
    await tower().keylime.admin.waitForState(host.agentId, 'stopped')
    writeState(host.agentId, 3)
    line.mark('polling stopped, and state 3 written into the database')
    await delay(11_000)
    await tower().spire.evict(host.spiffeId)
    expect(await host.spire.target.waitForLog(/FailedPrecondition.*KL-GATE-STALE/, 60_000)).toBeDefined()
    line.mark('attestation: not yet, the last success is stale')
    await tower().keylime.admin.stopAgent(host.agentId)
    writeState(host.agentId, 7)
    await heal(tower(), host)
    await svidReturns(host)
    line.mark('reactivated: the workload has its SVID')
    line.end()
  })
})

/** Does what the operators' recovery script did: edits the verifier's database. */
function writeState(agentId: string, state: number): void {
  const database = join(tower().dir, 'keylime', 'kl', 'cv_data.sqlite')
  const statement = `UPDATE verifiermain SET operational_state=${state} WHERE agent_id='${agentId}'`
  const script = `import sqlite3; c=sqlite3.connect(${JSON.stringify(database)}); c.execute(${JSON.stringify(statement)}); c.commit()`
  execFileSync('/usr/bin/python3', ['-c', script])
}
