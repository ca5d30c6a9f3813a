/**
 * What a push-mode verifier judged: its attestations of one agent, one by one.
 *
 * @module
 */
import type { AgentId } from '../basis/ids.ts'
import type { HttpsOrigin } from '../https/http.ts'
import { type CallOptions, KeylimeApi } from './keylime-api.ts'
import { type Attestation, parseAttestation } from './v3/attestation.ts'
import { V3, type V3Version } from './v3/generation.ts'

/** Bound on one attestation: boot log and IMA log ride along. */
export const ATTESTATION_BYTES = 16 * 1024 * 1024

/** Client of one push-mode verifier. */
export class AttestationsClient {
  readonly #api: KeylimeApi<V3Version>

  /** @param origin The verifier, with a client certificate it takes for an administrator's. */
  constructor(origin: HttpsOrigin) {
    this.#api = new KeylimeApi(origin, V3)
  }

  /**
   * Reads the newest attestation of an agent, which may not be judged yet.
   *
   * @param agentId The agent.
   * @param options `signal`: the caller's.
   * @returns The attestation.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: there is none, or no such agent. Others as {@link KeylimeApi.call}.
   * @see keylime 9b1f6e6a, keylime/web/verifier/attestation_controller.py
   */
  latest(agentId: AgentId, options: CallOptions = {}): Promise<Attestation> {
    return this.#read(agentId, 'latest', options)
  }

  /**
   * Reads one attestation of an agent.
   *
   * @param agentId The agent.
   * @param index Its number.
   * @param options `signal`: the caller's.
   * @returns The attestation.
   * @throws {KeylimeError} As {@link AttestationsClient.latest}.
   */
  at(agentId: AgentId, index: number, options: CallOptions = {}): Promise<Attestation> {
    return this.#read(agentId, String(index), options)
  }

  async #read(agentId: AgentId, which: string, { signal }: CallOptions): Promise<Attestation> {
    const { results, date } = await this.#api.call({
      path: `/agents/${encodeURIComponent(agentId)}/attestations/${which}`,
      signal,
      operation: 'get_attestation',
      about: `attestation ${which} of agent ${agentId}`,
      maxBodyBytes: ATTESTATION_BYTES,
    })
    return parseAttestation(results, agentId, { who: this.#api.name, ...(date !== undefined && { date }) })
  }
}
