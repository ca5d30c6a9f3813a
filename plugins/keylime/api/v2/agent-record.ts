/**
 * The verifier's record of one agent, from its JSON: what the gate and the selectors look at, and nothing secret.
 *
 * @module
 */
import * as v from 'valibot'
import type { AgentId } from '../../basis/ids.ts'
import { parseShape } from '../shape.ts'

/** A verifier's knowledge of one agent, at one moment of the verifier's clock. */
export interface AgentRecord {
  /** The agent asked for; the record itself does not say. */
  readonly agentId: AgentId
  /** 0 to 10, other numbers as they come; null for push-mode agents. */
  readonly operationalState: number | null
  /** Successful attestations since enrolment. */
  readonly attestationCount?: number
  /** Epoch seconds of the verifier's clock; absent for never. */
  readonly lastSuccessfulAttestation?: number
  /** `PASS`, `FAIL`, `PENDING`, `TIMEOUT`; absent before Keylime 7.14.0. */
  readonly attestationStatus?: string
  /** Milliseconds; absent before Keylime 7.14.0. */
  readonly maximumAttestationIntervalMs?: number
  /** JSON text, such as `{"mask": "0x400"}`; `''` when the verifier sends none. */
  readonly tpmPolicy: string
  readonly hasRuntimePolicy: boolean
  readonly hasMbRefstate: boolean
  /** Empty when the verifier holds no list; text, which some clients enrol, is split at commas. */
  readonly acceptTpmHashAlgs: readonly string[]
  readonly lastEventId?: string
  /** Where the verifier polls the agent; absent for push-mode agents. */
  readonly ip?: string
  readonly port?: number
  /** Epoch seconds of the verifier's clock when it answered; absent when it sent no `Date`. */
  readonly receivedAt?: number
}

const text = v.nullish(v.string())
const whole = v.nullish(v.pipe(v.number(), v.integer('a whole number')))
// Python's sqlite gives booleans as 0 and 1; JSON clients have been seen to store true and false.
const flag = v.union([v.number(), v.boolean()])

const RECORD = v.object({
  operational_state: v.nullable(v.pipe(v.number(), v.integer('a whole number'))),
  attestation_count: whole,
  last_successful_attestation: whole,
  attestation_status: text,
  maximum_attestation_interval: text,
  tpm_policy: v.string(),
  has_runtime_policy: v.nullish(flag),
  has_mb_refstate: v.nullish(flag),
  accept_tpm_hash_algs: v.nullish(v.union([v.array(v.string()), v.string()])),
  last_event_id: text,
  ip: text,
  port: v.nullish(v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,5}$/, 'a port number'))])),
})

/**
 * Parses a verifier's record.
 *
 * @param results `results` of `GET /agents/{id}`, or one value of the bulk answer.
 * @param agentId The agent asked for.
 * @param answer The service, for messages, and its `Date`.
 * @returns The record, without the key share `v` and all else that nobody needs.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: a field is missing or of another kind.
 */
export function parseAgentRecord(
  results: unknown,
  agentId: AgentId,
  answer: { readonly who: string; readonly date?: number },
): AgentRecord {
  const read = parseShape(RECORD, results, answer.who, `record of agent ${agentId}`)
  const algs = read.accept_tpm_hash_algs
  // 0 is how Keylime stores "never".
  const succeeded = read.last_successful_attestation || null
  const maximumAttestationIntervalMs = milliseconds(read.maximum_attestation_interval)
  const port = typeof read.port === 'string' ? Number(read.port) : read.port
  return {
    agentId,
    operationalState: read.operational_state,
    ...(isGiven(read.attestation_count) && { attestationCount: read.attestation_count }),
    ...(isGiven(succeeded) && { lastSuccessfulAttestation: succeeded }),
    ...(isGiven(read.attestation_status) && { attestationStatus: read.attestation_status }),
    ...(isGiven(maximumAttestationIntervalMs) && { maximumAttestationIntervalMs }),
    tpmPolicy: read.tpm_policy,
    hasRuntimePolicy: Boolean(read.has_runtime_policy),
    hasMbRefstate: Boolean(read.has_mb_refstate),
    acceptTpmHashAlgs: typeof algs === 'string' ? algs.split(/[\s,]+/).filter(Boolean) : (algs ?? []),
    ...(isGiven(read.last_event_id) && { lastEventId: read.last_event_id }),
    ...(isGiven(read.ip) && { ip: read.ip }),
    ...(isGiven(port) && { port }),
    ...(isGiven(answer.date) && { receivedAt: answer.date }),
  }
}

function isGiven<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined
}

// Keylime writes "2s"; a number would be seconds too.
function milliseconds(span: string | null | undefined): number | undefined {
  const match = /^(\d{1,9})(?:\.\d+)?s?$/.exec(span ?? '')
  return match === null ? undefined : Number(match[1]) * 1000
}
