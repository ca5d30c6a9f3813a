import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, onTower, serialOf, svidReturns, useTower } from './scenario.ts'

const STARTS = 5

/** A PCR that no policy of the tower looks at. */
const FREE_PCR = 23

const tower = useTower('twtpm', { hosts: 1, patience: 'default' })

onTower('a TPM with three places for keys', () => {
  it('serves a Keylime agent that is started again and again, and tools beside it that tidy nothing up', async () => {
    const host = tower().host('spire')
    const { tpm } = host.measured
    const line = new Timeline('Keylime agent started five times over one TPM')
    for (let start = 1; start <= STARTS; start += 1) {
      await host.stopKeylimeAgent()
      await host.startKeylimeAgent()
      // Leaves a session: the tool ends without flushing it.
      await tpm.run('tpm2_startauthsession', ['-S', `${tower().dir}/session-${start}.ctx`, '--hmac-session'])
      await tpm.extendPcr(FREE_PCR, createHash('sha256').update(String(start)).digest('hex'))
      const before = (await tower().keylime.admin.enrolled(host.agentId))?.attestationCount ?? 0
      await tower().keylime.admin.waitForQuotes(host.agentId, before)
      line.mark(`start ${start}: registered, and a new quote has passed (${host.agentKind} agent)`)
    }
    const serial = await serialOf(tower(), host)
    await tower().spire.evict(host.spiffeId)
    await attestedAgain(tower(), host, serial)
    await svidReturns(host)
    const loaded = (await tpm.run('tpm2_getcap', ['handles-transient'])).match(/0x8/g) ?? []
    expect(loaded.length).toBeLessThanOrEqual(3)
    expect((await tower().keylime.admin.enrolled(host.agentId))?.attestationStatus).toBe('PASS')
    line.mark(`attested again; objects loaded now: ${loaded.length}`)
    line.end()
  })
})
