/**
 * A registrar as its administrator uses it: what enrolment takes over from it, and how a registration ends.
 *
 * @module
 */
import { type CallOptions, KeylimeApi } from '../api/keylime-api.ts'
import { V2 } from '../api/v2/generation.ts'
import { parseRegistration, type Registration } from '../api/v2/registrar-record.ts'
import type { ApiVersion } from '../api/v2/versions.ts'
import type { AgentId } from '../basis/ids.ts'
import type { HttpsOrigin } from '../https/http.ts'

/** Commands to one registrar. */
export class RegistrarAdmin {
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
   * Reads what enrolment needs of an agent.
   *
   * @param agentId The agent.
   * @param options `signal`: the caller's.
   * @returns Keys, address and TLS certificate.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: not registered or not activated. `KEYLIME_BAD_RESPONSE`: no usable
   *   keys. Others as {@link KeylimeApi.call}.
   */
  async getRegistration(agentId: AgentId, options: CallOptions = {}): Promise<Registration> {
    const { results } = await this.#agent('GET', 'get_registration', agentId, options)
    return parseRegistration(results, agentId, this.name)
  }

  /**
   * Deletes a registration, so that another TPM can register under the same ID.
   *
   * @param agentId The agent.
   * @param options `signal`: the caller's.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: not registered. Others as {@link KeylimeApi.call}.
   */
  async delete(agentId: AgentId, options: CallOptions = {}): Promise<void> {
    await this.#agent('DELETE', 'delete_registration', agentId, options)
  }

  #agent(method: 'GET' | 'DELETE', operation: string, agentId: AgentId, { signal }: CallOptions) {
    return this.#api.call({
      method,
      path: `/agents/${encodeURIComponent(agentId)}`,
      signal,
      operation,
      about: `agent ${agentId}`,
      unknownOn404: true,
    })
  }
}
