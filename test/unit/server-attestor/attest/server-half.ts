/**
 * A fake Keylime and the server half before it, in this process, whole again before each test.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../../../fakes/fake-keylime.ts'
import type { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { type InProcess, startInProcess } from '../in-process.ts'

/** Keylime: two verifiers, four nodes with EK certificates. */
export let keylime: FakeKeylime
/** The server half, with the first verifier alone. */
export let server: InProcess

/** Raises both for the tests of a file. */
export function useServerHalf(): void {
  beforeAll(async () => {
    keylime = await startFakeKeylime({ nodes: 4, verifiers: 2, ekCertificates: true })
    server = await startInProcess(keylime.serverHcl())
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await keylime.close()
  })
  beforeEach(() => {
    for (const one of [...keylime.verifiers, keylime.registrar]) {
      one.clearFaults()
      one.resetStats()
    }
    keylime.verifier.set(keylime.node().agentId, healthy())
    server.lines.length = 0
  })
}

/** The clock of records: seconds since the epoch. */
export const second = (): number => Math.floor(Date.now() / 1_000)

/** A record of a node in good order. */
export const healthy = () => ({
  operational_state: 3,
  attestation_count: 23,
  attestation_status: 'PASS',
  last_event_id: null,
  last_successful_attestation: second(),
  tpm_policy: '{"mask": "0x0"}',
  has_runtime_policy: 0,
  has_mb_refstate: 0,
})

/** Configuration with both verifiers. */
export const both = (extra: Parameters<FakeKeylime['serverHcl']>[0] = {}): string =>
  keylime
    .serverHcl({ keylime_verifiers: keylime.verifiers.map(({ host, port }) => `${host}:${port}`), ...extra })
    .replace(/^keylime_verifier_(host|port) .*\n/gm, '')

/** Registers a TPM under an ID. */
export function register(agentId: string, tpm: SoftwareTpm, more: { readonly ip?: string } = {}): void {
  keylime.registrar.register({
    agent_id: agentId,
    ek_tpm: tpm.ekTpm.toString('base64'),
    aik_tpm: tpm.akTpm.toString('base64'),
    ...more,
  })
}
