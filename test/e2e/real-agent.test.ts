import { createHash, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { TRUST_DOMAIN } from '../lab/one-host/spire-maker.ts'
import { quotesOf } from '../lab/services/keylime-admin.ts'
import { refusalsIn, startAndAttest, startAndBeRefused, startHost } from './host.ts'

const absent = !process.env.KEYLIME_AGENT

describe.skipIf(absent)('a host with the real Keylime agent (skipped unless KEYLIME_AGENT names one)', () => {
  let rig: Rig

  beforeAll(async () => {
    rig = await startHost({ name: 'real-agent', quoteInterval: 1, agent: { syncInterval: '1s' }, realAgent: true })
  })
  afterAll(() => rig.stop())

  it('is refused before it is enrolled [T03]', async () => {
    expect(rig.keylimeAgent.kind).toBe('real')
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal.code).toBe('FailedPrecondition')
    expect(refusal.message).toContain(`does not know agent ${rig.agentId}`)
    await rig.spireAgent.stop()
  })

  it('attests as spiffe://<trust domain>/spire/agent/keylime/<hash of its EK> [T04] [T15]', async () => {
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    const registered = await rig.keylime.admin.registered(rig.agentId)
    const certificate = new X509Certificate(registered?.ekCert ?? '')
    const hash = createHash('sha256')
      .update(certificate.publicKey.export({ type: 'spki', format: 'pem' }))
      .digest('hex')
    const shown = await rig.spireServer.agentShow(`spiffe://${TRUST_DOMAIN}/spire/agent/keylime/${hash}`)
    expect(shown?.selectors.map(({ value }) => value)).toContain('policy:pcr:7')
  })

  it('returns after an eviction every time: it refuses resumed TLS sessions, and we begin new ones [T35]', async () => {
    for (let round = 0; round < 3; round += 1) {
      const before = rig.spireAgent.readLog().length
      await rig.spireServer.evict(rig.spiffeId)
      await rig.spireAgent.waitForLog(new RegExp(`^[\\s\\S]{${before}}[\\s\\S]*Successfully reattested node`), 15_000)
      expect(refusalsIn(rig.spireAgent.readLog())).toEqual([])
      // Two quotes apart, so that no sync of the SPIRE agent is cut off in the middle.
      const count = quotesOf(await rig.keylime.admin.enrolled(rig.agentId))
      await rig.keylime.admin.waitForQuotes(rig.agentId, count + 1)
    }
  })

  it('is refused after its pinned PCR has changed, and attests again after a reboot and its reactivation [T17]', async () => {
    await rig.tamper()
    await rig.spireServer.evict(rig.spiffeId)
    await rig.spireAgent.waitForExit()
    const refusal = refusalsIn(rig.spireAgent.readLog()).at(-1)
    expect(refusal?.code).toBe('PermissionDenied')
    expect(refusal?.message).toContain('pcr_validation.invalid_pcr_7')
    await rig.reboot()
    await rig.keylime.admin.reactivate(rig.agentId)
    await rig.keylime.admin.waitForState(rig.agentId, 'polled')
    await startAndAttest(rig.spireAgent)
  })
})
