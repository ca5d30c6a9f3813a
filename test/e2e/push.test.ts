// A host in push mode, its agent half quoting by itself: real SPIRE, real Keylime, a software TPM, no certificate on the node.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { PINNED_PCR } from '../lab/one-host/rig.ts'
import { refusalsIn, startAndAttest, startAndBeRefused, startHost, stopAndForget } from './host.ts'

const SELECTOR = `pcr:sha256:${PINNED_PCR}:`

describe('a host in push mode', () => {
  let rig: Rig

  beforeAll(async () => {
    rig = await startHost({
      name: 'push',
      mode: 'push',
      server: { agentTtl: '40s', plugin: { data: { accept_evidence: ['tpm'], pcr_selectors: [String(PINNED_PCR)] } } },
      agent: { syncInterval: '1s' },
    })
  }, 300_000)
  afterAll(() => rig.stop(), 60_000)

  it('is not attested before it is enrolled, and says what is missing [tpm:e2e:push]', async () => {
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal.code).toBe('FailedPrecondition')
    expect(refusal.message).toContain('enrol it with keylime_tenant -c add')
    await rig.spireAgent.stop()
  })

  it('is attested with the PCR of its own quote, without a certificate or an open Keylime port [tpm:e2e:push]', async () => {
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    const shown = await rig.spireServer.agentShowText(rig.spiffeId)
    for (const selector of ['evidence:tpm', 'mode:push', `${SELECTOR}${await rig.tpm.readPcr(PINNED_PCR)}`]) {
      expect(shown).toContain(selector)
    }
    expect(shown).not.toContain('keylime:ip:')
    const svid = await rig.spireAgent.waitForSvid(await rig.createWorkload('push'))
    expect(svid.spiffeId).toContain('/workload/push')
    expect(certificatesIn(join(rig.dir, 'keylime-agent'))).toEqual([])
    const conf = readFileSync(join(rig.dir, 'spire-agent', 'agent.conf'), 'utf8')
    expect(conf).not.toMatch(/keylime_agent_(?:ca|client|use_tls)/)
    expect(rig.keylimeAgent.process().readLog()).not.toContain('Listening on')
  }, 120_000)

  it('is refused when its PCR moves, and stays refused when the PCR is good again, until it is enrolled anew [tpm:e2e:push-fail]', async () => {
    const before = rig.spireAgent.readLog().length
    await rig.tamper()
    await rig.spireAgent.waitForExit(60_000)
    const [refusal] = refusalsIn(rig.spireAgent.readLog().slice(before))
    expect(refusal).toMatchObject({ code: 'PermissionDenied' })
    expect(refusal?.message).toMatch(/\[KL-(?:PCR-DIFFERS|GATE-PUSH-FAIL)\]/)
    await rig.reboot()
    await rig.keylime.admin.waitFor(
      rig.agentId,
      'a good attestation after FAIL',
      (record) => (record.receivedAt ?? 0) - (record.lastSuccessfulAttestation ?? 0) < 8,
      60_000,
    )
    await rig.spireAgent.forget()
    const still = await startAndBeRefused(rig.spireAgent)
    expect(still).toMatchObject({ code: 'PermissionDenied' })
    expect(still.message).toContain('[KL-GATE-PUSH-FAIL]')
    await rig.keylime.admin.unenrol(rig.agentId)
    await rig.enrol()
    await stopAndForget(rig.spireAgent)
    await startAndAttest(rig.spireAgent)
  }, 240_000)

  it('is not admitted by a PASS that nobody renews, also when the verifier was restarted meanwhile [tpm:e2e:push-stale]', async () => {
    await stopAndForget(rig.spireAgent)
    await rig.keylimeAgent.stop()
    await rig.keylime.stop('verifier')
    await rig.keylime.start('verifier')
    const record = await rig.keylime.admin.enrolled(rig.agentId)
    expect(record?.attestationStatus).toBe('PASS')
    await rig.keylime.admin.waitFor(
      rig.agentId,
      'the last success to be old',
      ({ receivedAt = 0, lastSuccessfulAttestation = 0 }) => receivedAt - lastSuccessfulAttestation > 50,
      90_000,
    )
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal.code).toBe('FailedPrecondition')
    expect(refusal.message).toMatch(/\[KL-GATE-STALE\]|\[KL-GATE-STATUS-TIMEOUT\]/)
    await rig.keylimeAgent.start()
    await rig.keylime.admin.waitForQuotes(rig.agentId, record?.attestationCount ?? 0)
    await rig.spireAgent.healthy()
  }, 300_000)

  it('is refused when an operator stopped it, although it goes on attesting [tpm:e2e:push-stopped]', async () => {
    await rig.keylime.admin.stopAgent(rig.agentId)
    await stopAndForget(rig.spireAgent)
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal).toMatchObject({ code: 'PermissionDenied' })
    expect(refusal.message).toContain('[KL-GATE-STOPPED]')
  }, 120_000)
})

function certificatesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /\.(?:crt|pem|key|der)$/.test(name))
}
