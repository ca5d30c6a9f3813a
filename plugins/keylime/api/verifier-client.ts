/**
 * The verifier: how an agent stands, all agents at once, and its opinion of one identity quote.
 *
 * @module
 */
import * as v from 'valibot'
import { type AgentId, isAgentId } from '../basis/ids.ts'
import type { Evidence } from '../evidence/evidence.ts'
import type { HttpsOrigin } from '../https/http.ts'
import { isObject } from './json.ts'
import { type CallOptions, KeylimeApi } from './keylime-api.ts'
import { parseShape } from './shape.ts'
import { LIST_BYTES, parseAgentIds } from './v2/agent-ids.ts'
import { type AgentRecord, parseAgentRecord } from './v2/agent-record.ts'
import { V2 } from './v2/generation.ts'
import type { ApiVersion } from './v2/versions.ts'

/** Bound on a bulk answer when nobody knows how many agents there are. */
export const BULK_BASE_BYTES = 16 * 1024 * 1024

/** Bound on one agent's row in a bulk answer: 0.7 KiB is usual, a long policy more. */
export const BULK_BYTES_PER_AGENT = 8 * 1024

/** The time one agent's row adds to a bulk read: five times what a real verifier takes. */
export const BULK_MS_PER_AGENT = 2

/** Bound on a bulk answer whatever is expected. */
export const BULK_MAX_BYTES = 256 * 1024 * 1024

/** The verifier's opinion of a quote. */
export interface Opinion {
  readonly valid: boolean
  /** The verifier's words when it is not valid: text for the log, never an interface. */
  readonly reason?: string
}

/** The records of all agents, as one bulk read gave them. */
export interface AgentRecords {
  /** Agents the verifier knows. */
  readonly size: number
  /** Epoch seconds of the verifier's clock when it answered. */
  readonly receivedAt?: number
  /** Every agent that there is a row of; an ID that could not stand in a SPIFFE ID is left out. */
  readonly agentIds: readonly AgentId[]
  /**
   * Finds one agent's record.
   * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: this agent's record is malformed; the others are not affected.
   */
  get(agentId: AgentId): AgentRecord | undefined
}

const OPINION = v.object({
  valid: v.union([v.picklist([0, 1], '0 or 1'), v.boolean()]),
  reason: v.nullish(v.string()),
})

/** Client of one verifier that reads alone. */
export class VerifierClient {
  readonly #api: KeylimeApi<ApiVersion>

  /** @param origin The verifier, with a client certificate it takes for an administrator's. */
  constructor(origin: HttpsOrigin) {
    this.#api = new KeylimeApi(origin, V2)
  }

  /** The verifier in the words of messages, such as `keylime verifier 127.0.0.1:8881`. */
  get name(): string {
    return this.#api.name
  }

  /**
   * Asks for the API version that is spoken with this service, and keeps it.
   *
   * @param signal Ends the wait.
   * @returns The version.
   * @throws {KeylimeError} As {@link KeylimeApi.version}.
   */
  version(signal?: AbortSignal): Promise<ApiVersion> {
    return this.#api.version(signal)
  }

  /**
   * Reads how one agent stands.
   *
   * @param agentId The agent.
   * @param options `signal`: the caller's.
   * @returns The record; the secret key share in the answer is dropped.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: 404, which is no verdict: the verifier's database may have failed.
   *   Others as {@link KeylimeApi.call}.
   * @see keylime 9b1f6e6a, keylime/cloud_verifier_tornado.py, `AgentsHandler.get`
   */
  async getAgent(agentId: AgentId, options: CallOptions = {}): Promise<AgentRecord> {
    const { results, date } = await this.#api.call({
      path: `/agents/${encodeURIComponent(agentId)}`,
      signal: options.signal,
      operation: 'get_agent',
      about: `agent ${agentId}`,
      unknownOn404: true,
    })
    return parseAgentRecord(results, agentId, { who: this.name, ...(date !== undefined && { date }) })
  }

  /**
   * Reads how all agents stand in one request, which occupies the verifier for 0.4 ms an agent.
   *
   * @param options `signal`; `expectedAgents`: how many there may be, which bounds the answer (default 2,048) and its time.
   * @returns The records, each checked when it is asked for.
   * @throws {KeylimeError} As {@link KeylimeApi.call}.
   */
  async getAgents(options: CallOptions & { readonly expectedAgents?: number } = {}): Promise<AgentRecords> {
    const agents = options.expectedAgents ?? 0
    const { results, date } = await this.#api.call({
      path: '/agents/?bulk=True',
      signal: options.signal,
      operation: 'get_agents',
      about: 'all agents',
      extraTimeMs: agents * BULK_MS_PER_AGENT,
      maxBodyBytes: Math.min(BULK_MAX_BYTES, BULK_BASE_BYTES + agents * BULK_BYTES_PER_AGENT),
    })
    const rows = new Map<string, unknown>()
    for (const [id, row] of Object.entries(results)) rows.set(id, withoutSecret(row))
    const answer = { who: this.name, ...(date !== undefined && { date }) }
    return {
      size: rows.size,
      ...(date !== undefined && { receivedAt: date }),
      agentIds: [...rows.keys()].filter(isAgentId),
      get: (agentId) => (rows.has(agentId) ? parseAgentRecord(rows.get(agentId), agentId, answer) : undefined),
    }
  }

  /**
   * Lists the agents the verifier knows.
   *
   * @param options `signal`: the caller's.
   * @returns Their IDs; those that could not stand in a SPIFFE ID are left out.
   * @throws {KeylimeError} As {@link KeylimeApi.call}.
   */
  async getAgentIds(options: CallOptions = {}): Promise<readonly AgentId[]> {
    const { results } = await this.#api.call({
      path: '/agents/',
      signal: options.signal,
      operation: 'list_agents',
      about: 'the list of agents',
      maxBodyBytes: LIST_BYTES,
    })
    return parseAgentIds(results, this.name)
  }

  /**
   * Asks whether a quote is one of this agent's AK over this nonce.
   *
   * @param evidence The quote, and what it was asked for.
   * @param options `signal`: the caller's.
   * @returns The opinion.
   * @throws {KeylimeError} `KEYLIME_API_UNSUPPORTED`: the verifier is older than 7.11 (API 2.2). Others as {@link KeylimeApi.call}.
   * @see keylime 9b1f6e6a, docs/rest_apis/2_5/verifier.rst, `GET /v2.5/verify/identity`
   */
  async verifyIdentity(evidence: Evidence, options: CallOptions = {}): Promise<Opinion> {
    const { agentId, quote, nonce, hashAlg } = evidence
    const query = [
      ['agent_uuid', agentId],
      ['hash_alg', hashAlg],
      ['nonce', nonce],
      ['quote', quote],
    ].map(([key = '', value = '']) => `${key}=${encodeURIComponent(value)}`)
    const { results } = await this.#api.call({
      path: `/verify/identity?${query.join('&')}`,
      signal: options.signal,
      operation: 'verify_identity',
      about: `agent ${agentId}`,
      unknownOn404: true,
      least: '2.2',
    })
    const { valid, reason } = parseShape(OPINION, results, this.name, 'verdict on an identity quote')
    return { valid: valid === 1 || valid === true, ...(typeof reason === 'string' && { reason }) }
  }
}

function withoutSecret(row: unknown): unknown {
  return isObject(row) && row['v'] !== undefined ? { ...row, v: null } : row
}
