// What a verifier says about one agent, field by field in the real one's order.

/** Overrides fields of `GET /agents/{id}` by their wire names; undefined leaves a field out. */
export type AgentFields = Readonly<Record<string, unknown>>

const STATUS_OF_STATE: Readonly<Record<number, string>> = {
  3: 'PASS',
  4: 'PASS',
  5: 'PASS',
  6: 'PASS',
  7: 'FAIL',
  9: 'FAIL',
  10: 'FAIL',
}

/**
 * Renders an agent's record.
 * @param fields What shall differ from a healthy agent that was attested one second ago.
 * @param context The verifier's clock, and whether its release sends `attestation_status`.
 * @returns The `results` of the answer.
 * @see keylime 9b1f6e6a, keylime/cloud_verifier_common.py, `process_get_status`
 */
export function renderAgent(
  fields: AgentFields,
  context: { readonly nowMs: number; readonly hasAttestationStatus: boolean },
): Record<string, unknown> {
  const state = 'operational_state' in fields ? fields['operational_state'] : 3
  const attestedAt = Math.floor(context.nowMs / 1000) - 1
  const status = {
    attestation_status: STATUS_OF_STATE[Number(state)] ?? 'PENDING',
    attestation_period: '2s',
    maximum_attestation_interval: '10s',
  }
  return {
    operational_state: 3,
    v: null,
    ip: '127.0.0.1',
    port: 9002,
    tpm_policy: '{"mask": "0x0"}',
    meta_data: '{}',
    has_mb_refstate: 0,
    has_runtime_policy: 0,
    accept_tpm_hash_algs: ['sha512', 'sha384', 'sha256'],
    accept_tpm_encryption_algs: ['ecc', 'rsa'],
    accept_tpm_signing_algs: ['ecschnorr', 'rsassa'],
    hash_alg: 'sha256',
    enc_alg: 'rsa2048',
    sign_alg: 'rsassa',
    verifier_id: 'default',
    verifier_ip: '127.0.0.1',
    verifier_port: 8881,
    severity_level: null,
    last_event_id: null,
    attestation_count: 23,
    last_received_quote: attestedAt,
    last_successful_attestation: attestedAt,
    ...(context.hasAttestationStatus && status),
    ...fields,
  }
}
