/**
 * Keylime's REST API on one service: the version in the path, negotiated and kept, and the answer opened.
 *
 * @module
 */

import { newFailure } from '../basis/failures.ts'
import { SharedWork } from '../basis/shared-work.ts'
import type { HttpsOrigin } from '../https/http.ts'
import type { HttpAnswer, HttpMethod } from '../https/http-request.ts'
import type { Call } from './envelope.ts'
import { type Generation, isAtLeast } from './generation.ts'

/** What every call of a client takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

/** One call. */
export interface ApiCall<V extends string> extends CallOptions {
  /** Default GET. */
  readonly method?: HttpMethod
  /** Sent as JSON when given. */
  readonly body?: unknown
  /** Path after the version, percent-encoded, with query: `/agents/x`. */
  readonly path: string
  /** Name for metrics, such as `get_agent`. */
  readonly operation: string
  /** What is asked for, for messages, such as `agent x`. */
  readonly about: string
  /** Whether a 404 stands for an unknown agent. */
  readonly unknownOn404?: boolean
  /** Oldest version that has this call. */
  readonly least?: V
  /** Statuses beside 200 that are a success, whose bodies nobody reads. */
  readonly accepts?: readonly number[]
  /** Milliseconds on top of the service's time limit. */
  readonly extraTimeMs?: number
  readonly maxBodyBytes?: number
}

/** An opened answer. */
export interface ApiAnswer<V extends string> {
  /** The version it was given under. */
  readonly version: V
  readonly status: number
  readonly results: Readonly<Record<string, unknown>>
  /** The `Date` header, seconds since the epoch of the server's clock. */
  readonly date?: number
}

/** One generation of Keylime's API on one service. */
export class KeylimeApi<V extends string> {
  readonly #origin: HttpsOrigin
  readonly #generation: Generation<V>
  #known: V | undefined
  readonly #negotiation: SharedWork<V>
  /** Whether the service did not say what it speaks. */
  #isGuessed = false

  /**
   * @param origin The service.
   * @param generation Which generation is spoken with it.
   */
  constructor(origin: HttpsOrigin, generation: Generation<V>) {
    this.#origin = origin
    this.#generation = generation
    this.#negotiation = new SharedWork(
      (signal) => this.#negotiate(signal),
      () => newFailure('cancelled', `${this.name}: the caller went away`),
    )
  }

  /** The service in the words of messages. */
  get name(): string {
    return this.#origin.name
  }

  /**
   * Tells the version in use, and negotiates it when it is not known.
   *
   * @param signal Ends the wait, and the negotiation when nobody else waits for it.
   * @returns One of the generation's versions.
   * @throws {KeylimeError} As {@link HttpsOrigin.request}; `KEYLIME_API_UNSUPPORTED`: none in common, or push mode.
   */
  async version(signal?: AbortSignal): Promise<V> {
    return this.#known ?? (await this.#negotiation.join(signal))
  }

  /**
   * Calls the service.
   *
   * A version refused (the service was replaced by an older or newer one) is negotiated again, once.
   *
   * @param call What.
   * @returns The results of a 200.
   * @throws {KeylimeError} As {@link HttpsOrigin.request} and {@link openEnvelope}; `KEYLIME_API_UNSUPPORTED`: the
   *   version in common lacks the call.
   */
  async call(call: ApiCall<V>): Promise<ApiAnswer<V>> {
    const known = this.#known
    const version = await this.version(call.signal)
    const answer = await this.#request(version, call)
    if (!this.#generation.isVersionRefused(answer)) return this.#open(version, answer, call)
    if (known !== undefined) {
      if (this.#known === known) this.#known = undefined
      const renewed = await this.version(call.signal)
      if (renewed !== version) return this.#open(renewed, await this.#request(renewed, call), call)
    }
    const older = this.#isGuessed ? await this.#stepDown(version, call) : undefined
    if (older !== undefined) return older
    throw this.#versionRefused(version, answer, call)
  }

  /** Tries the versions below one that was guessed and refused, and stays at the first that is spoken. */
  async #stepDown(refused: V, call: ApiCall<V>): Promise<ApiAnswer<V> | undefined> {
    const { versions } = this.#generation
    for (const version of versions.slice(versions.indexOf(refused) + 1)) {
      const answer = await this.#request(version, call)
      if (this.#generation.isVersionRefused(answer)) continue
      this.#known = version
      return this.#open(version, answer, call)
    }
    return undefined
  }

  async #request(version: V, call: ApiCall<V>): Promise<HttpAnswer> {
    if (call.least !== undefined && !isAtLeast(this.#generation.versions, version, call.least)) {
      throw newFailure(
        'api-version',
        `${this.name} speaks API ${version} at most, and ${call.operation} needs ${call.least} or newer`,
        { facts: { api_version: version } },
      )
    }
    const { method = 'GET', body, signal, operation, maxBodyBytes, extraTimeMs = 0 } = call
    return await this.#origin.request(`/v${version}${call.path}`, {
      method,
      ...(body !== undefined && { body, contentType: this.#generation.contentType }),
      signal,
      operation,
      extraTimeMs,
      ...(maxBodyBytes !== undefined && { maxBodyBytes }),
    })
  }

  #open(version: V, answer: HttpAnswer, call: ApiCall<V>): ApiAnswer<V> {
    const { status } = answer
    const accepted = call.accepts?.includes(status) === true
    const results = accepted ? {} : this.#generation.open(answer, this.#describe(call))
    return { version, status, results, ...(answer.date !== undefined && { date: answer.date }) }
  }

  #describe(call: Pick<ApiCall<V>, 'about' | 'unknownOn404' | 'method'>): Call {
    const { about, unknownOn404 = false, method = 'GET' } = call
    return { who: this.name, about, unknownOn404, writes: method !== 'GET', client: this.#origin.client }
  }

  #versionRefused(version: V, answer: HttpAnswer, call: ApiCall<V>): Error {
    return newFailure(
      'api-version',
      `${this.name} announces API ${version} and answers ${answer.status} for ${call.about} under it; is a proxy in front that passes only some paths, or is it another service?`,
      { facts: { api_version: version, http_status: answer.status } },
    )
  }

  async #negotiate(signal: AbortSignal): Promise<V> {
    const answer = await this.#origin.request('/version', { operation: 'get_version', signal })
    this.#isGuessed = this.#generation.isSilent?.(answer) === true
    this.#known = this.#generation.chooseVersion(answer, this.#describe({ about: '/version' }))
    return this.#known
  }
}
