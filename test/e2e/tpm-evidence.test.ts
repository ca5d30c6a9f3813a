// A host in pull mode whose agent half quotes by itself beside the Keylime agent: real SPIRE, real Keylime, a software TPM.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FIRST_HANDLE, getHandles } from '../../plugins/tpm/commands/index.ts'
import { Tpm } from '../../plugins/tpm-device/index.ts'
import { QUICK_SYNC, reattest } from '../lab/one-host/reattest.ts'
import type { Rig } from '../lab/one-host/rig.ts'
import { PINNED_PCR } from '../lab/one-host/rig.ts'
import { linesOf, refusalsIn, startAndAttest, startAndBeRefused, startHost, stopAndForget } from './host.ts'

describe('a host in pull mode that quotes by itself', () => {
  let rig: Rig

  beforeAll(async () => {
    rig = await startHost({
      name: 'tpm-evidence',
      evidence: 'tpm',
      server: {
        agentTtl: '20s',
        plugin: { data: { pcr_selectors: [String(PINNED_PCR)], verifier_opinion_ttl: '10m' } },
      },
      agent: { syncInterval: QUICK_SYNC },
    })
    await rig.enrol()
  }, 300_000)
  afterAll(() => rig.stop(), 60_000)

  it('is attested, also in the opinion of the verifier, and attests again beside its Keylime agent [tpm:e2e:pull]', async () => {
    await startAndAttest(rig.spireAgent)
    const shown = await rig.spireServer.agentShowText(rig.spiffeId)
    for (const selector of [
      'evidence:tpm',
      'mode:pull',
      `pcr:sha256:${PINNED_PCR}:${await rig.tpm.readPcr(PINNED_PCR)}`,
    ]) {
      expect(shown).toContain(selector)
    }
    const attested = (): number => linesOf(rig.spireServer.process().readLog(), /msg="Node attested"/).length
    const before = {
      attested: attested(),
      quotes: (await rig.keylime.admin.enrolled(rig.agentId))?.attestationCount ?? 0,
    }
    await expect.poll(attested, { timeout: 60_000 }).toBeGreaterThanOrEqual(before.attested + 3)
    await rig.keylime.admin.waitForQuotes(rig.agentId, before.quotes)
    expect(refusalsIn(rig.spireAgent.readLog())).toEqual([])
  }, 120_000)

  it('attests again 50 times beside its Keylime agent, and neither fails [tpm:e2e:again-and-again]', async () => {
    const tpm = await Tpm.open({ path: rig.tpm.path, timeoutMs: 15_000 })
    try {
      const loaded = async (): Promise<number> => (await tpm.run(getHandles(FIRST_HANDLE.transient))).length
      const before = await loaded()
      const quotes = (await rig.keylime.admin.enrolled(rig.agentId))?.attestationCount ?? 0
      const refusals = refusalsIn(rig.spireAgent.readLog()).length
      expect((await reattest(rig, 50)).length).toBeGreaterThanOrEqual(50)
      await rig.keylime.admin.waitForQuotes(rig.agentId, quotes)
      expect((await rig.keylime.admin.enrolled(rig.agentId))?.attestationStatus).toBe('PASS')
      expect(refusalsIn(rig.spireAgent.readLog())).toHaveLength(refusals)
      expect(await loaded()).toBe(before)
    } finally {
      await tpm.close()
    }
  }, 120_000)

  it('goes on when its Keylime agent is away, until the verifier has no fresh word of it [tpm:e2e:pull]', async () => {
    await rig.keylimeAgent.stop()
    await stopAndForget(rig.spireAgent)
    await startAndAttest(rig.spireAgent)
    await rig.keylimeAgent.start()
    await rig.keylime.admin.waitFor(
      rig.agentId,
      'an end of the retries',
      ({ operationalState }) => operationalState === 3 || operationalState === 7,
    )
    const record = await rig.keylime.admin.enrolled(rig.agentId)
    if (record?.operationalState === 7) await rig.keylime.admin.reactivate(rig.agentId)
    expect(await rig.keylime.admin.waitForState(rig.agentId, 'polled')).toMatchObject({ agentId: rig.agentId })
  }, 120_000)

  it('leaves nothing in the TPM when it ends [tpm:e2e:no-leak]', async () => {
    const tpm = await Tpm.open({ path: rig.tpm.path, timeoutMs: 15_000 })
    try {
      const loaded = async (): Promise<number> => (await tpm.run(getHandles(FIRST_HANDLE.transient))).length
      await rig.spireAgent.healthy()
      expect(await loaded()).toBe(1)
      await stopAndForget(rig.spireAgent)
      await expect.poll(loaded, { timeout: 10_000 }).toBe(0)
    } finally {
      await tpm.close()
    }
  }, 60_000)

  it('is refused at once when a PCR is not what its policy allows [tpm:e2e:pcr]', async () => {
    await rig.tpm.extendPcr(PINNED_PCR, 'ab'.repeat(32))
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal).toMatchObject({ code: 'PermissionDenied' })
    expect(refusal.message).toMatch(/\[KL-(?:PCR-DIFFERS|GATE-INVALID-QUOTE)\]/)
  }, 60_000)
})
