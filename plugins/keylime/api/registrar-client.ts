/**
 * The registrar: the AK and EK an agent ID stands for.
 *
 * @module
 */
import * as v from 'valibot'
import { newFailure } from '../basis/failures.ts'
import type { AgentId } from '../basis/ids.ts'
import type { HttpsOrigin } from '../https/http.ts'
import { KeylimeApi } from './keylime-api.ts'
import { parseShape } from './shape.ts'
import type { CallOptions } from './verifier-client.ts'

/** Is what a registrar knows about one agent. */
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

/** Asks one registrar. */
export class RegistrarClient {
  readonly #api: KeylimeApi

  /** @param origin The registrar's TLS port, with a client certificate it takes for an administrator's. */
  constructor(origin: HttpsOrigin) {
    this.#api = new KeylimeApi(origin)
  }

  /** The registrar in the words of messages, such as `keylime registrar 127.0.0.1:8891`. */
  get name(): string {
    return this.#api.name
  }

  /**
   * Reads the keys registered for an agent.
   *
   * @param agentId The agent.
   * @param options `signal`: the caller's.
   * @returns The record, whose `agent_id` equals the one asked for byte for byte.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: 404, not registered or not activated. `KEYLIME_BAD_RESPONSE`: no
   *   usable keys, or the record of another agent. Others as {@link KeylimeApi.call}.
   * @see keylime 9b1f6e6a, keylime/models/registrar/registrar_agent.py, `render`
   */
  async getAgent(agentId: AgentId, options: CallOptions = {}): Promise<RegistrarRecord> {
    const { results } = await this.#api.call({
      path: `/agents/${encodeURIComponent(agentId)}`,
      signal: options.signal,
      operation: 'get_registered_agent',
      about: `agent ${agentId}`,
      unknownOn404: true,
    })
    const read = parseShape(RECORD, results, this.name, `record of agent ${agentId}`)
    if (read.agent_id !== agentId) {
      const other = JSON.stringify(read.agent_id.slice(0, 80))
      throw newFailure(
        'answer-other-agent',
        `${this.name} was asked for agent ${agentId} and answers with the record of ${other}`,
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
}
