/**
 * The registrar: the AK and EK an agent ID stands for.
 *
 * @module
 */
import type { AgentId } from '../basis/ids.ts'
import type { HttpsOrigin } from '../https/http.ts'
import { type CallOptions, KeylimeApi } from './keylime-api.ts'
import { LIST_BYTES, parseAgentIds } from './v2/agent-ids.ts'
import { V2 } from './v2/generation.ts'
import {
  parseRegistrarRecord,
  parseRegistration,
  type RegistrarRecord,
  type Registration,
} from './v2/registrar-record.ts'
import type { ApiVersion } from './v2/versions.ts'

/** Client of one registrar that reads alone. */
export class RegistrarClient {
  readonly #api: KeylimeApi<ApiVersion>

  /** @param origin The registrar's TLS port, with a client certificate it takes for an administrator's. */
  constructor(origin: HttpsOrigin) {
    this.#api = new KeylimeApi(origin, V2)
  }

  /** The registrar in the words of messages, such as `keylime registrar 127.0.0.1:8891`. */
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
    return parseRegistrarRecord(results, agentId, this.name)
  }

  /**
   * Reads what is registered for an agent, with its TLS certificate.
   *
   * @param agentId The agent.
   * @param options `signal`: the caller's.
   * @returns Keys, address and certificate.
   * @throws {KeylimeError} As {@link RegistrarClient.getAgent}.
   */
  async getRegistration(agentId: AgentId, options: CallOptions = {}): Promise<Registration> {
    const { results } = await this.#api.call({
      path: `/agents/${encodeURIComponent(agentId)}`,
      signal: options.signal,
      operation: 'get_registration',
      about: `agent ${agentId}`,
      unknownOn404: true,
    })
    return parseRegistration(results, agentId, this.name)
  }

  /**
   * Lists the agents that are registered and activated.
   *
   * @param options `signal`: the caller's.
   * @returns Their IDs; those that could not stand in a SPIFFE ID are left out.
   * @throws {KeylimeError} As {@link KeylimeApi.call}.
   */
  async getAgentIds(options: CallOptions = {}): Promise<readonly AgentId[]> {
    const { results } = await this.#api.call({
      path: '/agents/',
      signal: options.signal,
      operation: 'list_registered_agents',
      about: 'the list of agents',
      maxBodyBytes: LIST_BYTES,
    })
    return parseAgentIds(results, this.name)
  }
}
