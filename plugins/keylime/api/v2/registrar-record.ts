/**
 * The registrar's record of one agent, from its JSON.
 *
 * @module
 */
import * as v from 'valibot'
import { newFailure } from '../../basis/failures.ts'
import type { AgentId } from '../../basis/ids.ts'
import { isObject } from '../json.ts'
import { parseShape } from '../shape.ts'

/** A registrar's knowledge of one agent. */
export interface RegistrarRecord {
  readonly agentId: AgentId
  /** TPM2B_PUBLIC of the attestation key. */
  readonly akTpm: Buffer
  /** TPM2B_PUBLIC of the endorsement key. */
  readonly ekTpm: Buffer
  /** EK certificate, DER. */
  readonly ekCert?: Buffer
  readonly ip?: string
  readonly port?: number
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
// Anyone can register a record, and thousands of them are kept: what is large is refused. Usual are 0.4 and 1.4 KiB.
const MAX_KEY_CHARACTERS = 4096
const MAX_CERTIFICATE_CHARACTERS = 16_384
const MAX_ADDRESS_CHARACTERS = 255
const base64 = (max: number) =>
  v.pipe(v.string(), v.nonEmpty('base64'), v.maxLength(max, `at most ${max} characters`), v.regex(BASE64, 'base64'))

const RECORD = v.object({
  agent_id: v.string(),
  // The verifier calls the same key ak_tpm; the registrar never does.
  aik_tpm: base64(MAX_KEY_CHARACTERS),
  ek_tpm: base64(MAX_KEY_CHARACTERS),
  ekcert: v.nullish(v.union([v.literal(''), base64(MAX_CERTIFICATE_CHARACTERS)])),
  ip: v.nullish(
    v.pipe(v.string(), v.maxLength(MAX_ADDRESS_CHARACTERS, `at most ${MAX_ADDRESS_CHARACTERS} characters`)),
  ),
  port: v.nullish(v.number()),
})

/**
 * Parses a registrar's record.
 *
 * @param results `results` of `GET /agents/{id}`.
 * @param agentId The agent asked for.
 * @param who The service, for messages.
 * @returns The record, whose `agent_id` equals the one asked for byte for byte.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: no usable keys, or the record of another agent.
 *   `KEYLIME_API_UNSUPPORTED`: a registrar older than 7.12, whose records do not say whose they are.
 */
export function parseRegistrarRecord(results: unknown, agentId: AgentId, who: string): RegistrarRecord {
  if (isAnonymous(results)) {
    throw newFailure(
      'api-version',
      `${who} sends the record of agent ${agentId} without its agent_id, as Keylime before 7.12 does; 7.12 is the oldest that works`,
    )
  }
  const read = parseShape(RECORD, results, who, `record of agent ${agentId}`)
  if (read.agent_id !== agentId) {
    const other = JSON.stringify(read.agent_id.slice(0, 80))
    throw newFailure(
      'answer-other-agent',
      `${who} was asked for agent ${agentId} and answers with the record of ${other}`,
    )
  }
  return {
    agentId,
    akTpm: Buffer.from(read.aik_tpm, 'base64'),
    ekTpm: Buffer.from(read.ek_tpm, 'base64'),
    ...(read.ekcert && { ekCert: Buffer.from(read.ekcert, 'base64') }),
    ...(typeof read.ip === 'string' && { ip: read.ip }),
    ...(typeof read.port === 'number' && { port: read.port }),
  }
}

// A registrar before Keylime 7.12 sends keys, and not whose: keylime 7.11.0, keylime/registrar_common.py.
function isAnonymous(results: unknown): boolean {
  return isObject(results) && 'aik_tpm' in results && !('agent_id' in results)
}

/** What enrolment takes over from the registrar. */
export interface Registration extends RegistrarRecord {
  /** PEM of the agent's TLS certificate; `disabled` for an agent that speaks plain HTTP. */
  readonly mtlsCert?: string
}

const CERTIFICATE = v.object({
  mtls_cert: v.nullish(v.pipe(v.string(), v.maxLength(MAX_CERTIFICATE_CHARACTERS, 'a certificate of usual length'))),
})

/**
 * Parses a registrar's record with the agent's TLS certificate, which the reading client drops.
 *
 * @param results `results` of `GET /agents/{id}`.
 * @param agentId The agent asked for.
 * @param who The service, for messages.
 * @returns The record, as {@link parseRegistrarRecord} checks it.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: as {@link parseRegistrarRecord}.
 */
export function parseRegistration(results: unknown, agentId: AgentId, who: string): Registration {
  const record = parseRegistrarRecord(results, agentId, who)
  const read = parseShape(CERTIFICATE, results, who, `record of agent ${agentId}`)
  return { ...record, ...(typeof read.mtls_cert === 'string' && { mtlsCert: read.mtls_cert }) }
}
