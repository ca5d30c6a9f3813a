/**
 * A verifier as its administrator commands it: whom it polls, and by which named policies.
 *
 * @module
 */
import { type CallOptions, KeylimeApi } from '../api/keylime-api.ts'
import { V2 } from '../api/v2/generation.ts'
import type { ApiVersion } from '../api/v2/versions.ts'
import type { AgentId } from '../basis/ids.ts'
import type { HttpsOrigin } from '../https/http.ts'
import { type Enrolment, enrolmentBody } from './enrolment.ts'
import { type NamedPolicies, newMeasuredBootPolicies, newRuntimePolicies } from './named-policies.ts'

/** Commands to one verifier. Nothing here is sent twice: a change whose answer was lost may have happened. */
export class VerifierAdmin {
  /** Runtime (IMA) policies that the verifier keeps by name. */
  readonly runtimePolicies: NamedPolicies
  /** Measured-boot references that the verifier keeps by name. */
  readonly measuredBootPolicies: NamedPolicies
  readonly #api: KeylimeApi<ApiVersion>

  /** @param origin The verifier, with a client certificate it takes for an administrator's. */
  constructor(origin: HttpsOrigin) {
    this.#api = new KeylimeApi(origin, V2)
    this.runtimePolicies = newRuntimePolicies(this.#api)
    this.measuredBootPolicies = newMeasuredBootPolicies(this.#api)
  }

  /** The verifier in the words of messages, such as `keylime verifier 127.0.0.1:8881`. */
  get name(): string {
    return this.#api.name
  }

  /**
   * Enrols an agent: the verifier polls it from now on.
   *
   * @param agentId The agent; unenrolled first when it is enrolled, since one that is replaced is polled twice.
   * @param enrolment Keys, address, policies.
   * @param options `signal`: the caller's.
   * @throws {KeylimeError} `KEYLIME_CONFLICT`: it is enrolled already. `KEYLIME_BAD_RESPONSE`: the verifier does not
   *   take it, in its own words. `KEYLIME_AGENT_UNKNOWN`: a policy that is named is missing. Others as
   *   {@link KeylimeApi.call}.
   */
  async enrol(agentId: AgentId, enrolment: Enrolment, options: CallOptions = {}): Promise<void> {
    const version = await this.#api.version(options.signal)
    await this.#agent('POST', 'enrol_agent', agentId, options, { body: enrolmentBody(enrolment, version) })
  }

  /**
   * Stops polling an agent; its record stays, in state 10, which no reactivation leaves.
   *
   * @param agentId The agent.
   * @param options `signal`: the caller's.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: not enrolled. Others as {@link KeylimeApi.call}.
   */
  async stop(agentId: AgentId, options: CallOptions = {}): Promise<void> {
    await this.#agent('PUT', 'stop_agent', agentId, options, { verb: '/stop' })
  }

  /**
   * Has the verifier begin anew with an agent it has failed.
   *
   * @param agentId An agent in state 7 or 9: one that is polled would be polled twice, and state 10 is never left.
   * @param options `signal`: the caller's.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: not enrolled. Others as {@link KeylimeApi.call}.
   */
  async reactivate(agentId: AgentId, options: CallOptions = {}): Promise<void> {
    await this.#agent('PUT', 'reactivate_agent', agentId, options, { verb: '/reactivate' })
  }

  /**
   * Deletes an agent's record.
   *
   * @param agentId An agent that is not polled: see {@link unenrol}.
   * @param options `signal`: the caller's.
   * @returns `deleted`, or `going`: the verifier deletes it when its poll of the agent ends.
   * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: not enrolled. Others as {@link KeylimeApi.call}.
   */
  async delete(agentId: AgentId, options: CallOptions = {}): Promise<'deleted' | 'going'> {
    const status = await this.#agent('DELETE', 'delete_agent', agentId, options, { accepts: [202] })
    return status === 202 ? 'going' : 'deleted'
  }

  async #agent(
    method: 'POST' | 'PUT' | 'DELETE',
    operation: string,
    agentId: AgentId,
    { signal }: CallOptions,
    more: { readonly verb?: string; readonly body?: unknown; readonly accepts?: readonly number[] },
  ): Promise<number> {
    const { verb = '', ...rest } = more
    const { status } = await this.#api.call({
      method,
      path: `/agents/${encodeURIComponent(agentId)}${verb}`,
      signal,
      operation,
      about: `agent ${agentId}`,
      unknownOn404: true,
      ...rest,
    })
    return status
  }
}
