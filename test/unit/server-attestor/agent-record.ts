/** Agent records for tests: a healthy node, and what differs from it. */
import type { AgentRecord } from '../../../plugins/keylime/api/v2/agent-record.ts'

/** The verifier's time in these records, epoch seconds. */
export const NOW_S = 1_795_472_522

/**
 * Makes the record of a healthy node, as Keylime 7.14.3 answers it.
 *
 * @param changes Fields that differ; undefined removes an optional one.
 */
export function agentRecord(
  changes: { readonly [K in keyof AgentRecord]?: AgentRecord[K] | undefined } = {},
): AgentRecord {
  const healthy = {
    operationalState: 3,
    attestationCount: 23,
    lastSuccessfulAttestation: NOW_S - 1,
    attestationStatus: 'PASS',
    maximumAttestationIntervalMs: 10_000,
    tpmPolicy: '{"mask": "0x0"}',
    hasRuntimePolicy: false,
    hasMbRefstate: false,
    acceptTpmHashAlgs: ['sha512', 'sha384', 'sha256'],
    ip: '127.0.0.1',
    port: 9002,
    receivedAt: NOW_S,
  }
  const entries = Object.entries({ ...healthy, ...changes }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as unknown as AgentRecord
}
