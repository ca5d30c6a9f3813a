/**
 * Keylime's REST API on one service: the version in the path, negotiated and kept, and the answer opened.
 *
 * @module
 */

import { newFailure } from '../basis/failures.ts'
import type { HttpAnswer } from '../https/exchange.ts'
import type { HttpsOrigin } from '../https/http.ts'
import { type Call, explainStatus, isKeylimeRefusal, openEnvelope } from './envelope.ts'
import { type ApiVersion, chooseVersion, isAtLeast, isVersionRefused, pushModeFailure } from './version.ts'

/** Describes one call. */
export interface ApiCall {
  /** Path after the version, percent-encoded, with query: `/agents/x`. */
  readonly path: string
  readonly signal?: AbortSignal | undefined
  /** Name for metrics, such as `get_agent`. */
  readonly operation: string
  /** What is asked for, for messages, such as `agent x`. */
  readonly about: string
  /** Whether a 404 stands for an unknown agent. */
  readonly unknownOn404?: boolean
  /** Oldest version that has this call. */
  readonly least?: ApiVersion
  /** Milliseconds on top of the service's time limit. */
  readonly extraTimeMs?: number
  readonly maxBodyBytes?: number
}

/** Holds an opened answer. */
export interface ApiAnswer {
  readonly results: Readonly<Record<string, unknown>>
  /** The `Date` header, seconds since the epoch of the server's clock. */
  readonly date?: number
}

/** Speaks Keylime's API with one service. */
export class KeylimeApi {
  readonly #origin: HttpsOrigin
  #version: Promise<ApiVersion> | undefined

  /** @param origin The service. */
  constructor(origin: HttpsOrigin) {
    this.#origin = origin
  }

  /** The service in the words of messages. */
  get name(): string {
    return this.#origin.name
  }

  /**
   * Tells the version in use, and negotiates it when it is not known.
   *
   * @param signal Ends the wait, not the negotiation others wait for too.
   * @returns One of 2.1 to 2.6.
   * @throws {KeylimeError} As {@link HttpsOrigin.request}; `KEYLIME_API_UNSUPPORTED`: none in common, or push mode.
   */
  async version(signal?: AbortSignal): Promise<ApiVersion> {
    this.#version ??= this.#negotiate()
    const version = this.#version
    version.catch(() => {
      if (this.#version === version) this.#version = undefined
    })
    return await unlessAborted(version, signal, this.name)
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
  async call(call: ApiCall): Promise<ApiAnswer> {
    const known = this.#version
    const version = await this.version(call.signal)
    const answer = await this.#request(version, call)
    if (!isVersionRefused(answer)) return this.#open(answer, call)
    if (known !== undefined) {
      if (this.#version === known) this.#version = undefined
      const renewed = await this.version(call.signal)
      if (renewed !== version) return this.#open(await this.#request(renewed, call), call)
    }
    throw this.#versionRefused(version, answer, call)
  }

  async #request(version: ApiVersion, call: ApiCall): Promise<HttpAnswer> {
    if (call.least !== undefined && !isAtLeast(version, call.least)) {
      throw newFailure(
        'api-version',
        `${this.name} speaks API ${version} at most, and ${call.operation} needs ${call.least} or newer`,
        { facts: { api_version: version } },
      )
    }
    const { signal, operation, maxBodyBytes, extraTimeMs = 0 } = call
    return await this.#origin.request(`/v${version}${call.path}`, {
      signal,
      operation,
      extraTimeMs,
      ...(maxBodyBytes !== undefined && { maxBodyBytes }),
    })
  }

  #open(answer: HttpAnswer, call: ApiCall): ApiAnswer {
    const results = openEnvelope(answer, this.#describe(call))
    return { results, ...(answer.date !== undefined && { date: answer.date }) }
  }

  #describe(call: Pick<ApiCall, 'about' | 'unknownOn404'>): Call {
    const { about, unknownOn404 = false } = call
    return { who: this.name, about, unknownOn404, client: this.#origin.client }
  }

  #versionRefused(version: ApiVersion, answer: HttpAnswer, call: ApiCall): Error {
    return newFailure(
      'api-version',
      `${this.name} announces API ${version} and answers ${answer.status} for ${call.about} under it; is a proxy in front that passes only some paths, or is it another service?`,
      { facts: { api_version: version, http_status: answer.status } },
    )
  }

  async #negotiate(): Promise<ApiVersion> {
    const answer = await this.#origin.request('/version', { operation: 'get_version' })
    if (answer.status === 410) throw pushModeFailure(this.name)
    if (answer.status === 200) {
      return chooseVersion(openEnvelope(answer, this.#describe({ about: '/version' })), this.name)
    }
    // A registrar before Keylime 7.12 has no /version; its API is 2.1 or 2.2, and 2.2 adds nothing to its records.
    const hasNoVersionPath = [400, 404, 405].includes(answer.status) && isKeylimeRefusal(answer)
    if (hasNoVersionPath) return '2.1'
    throw explainStatus(answer, this.#describe({ about: '/version' }))
  }
}

/**
 * Waits for a promise that others wait for too, unless the signal aborts first.
 *
 * @param promise The shared work.
 * @param signal One waiter's signal.
 * @param who The service, for the message.
 * @returns What the promise gives.
 * @throws {KeylimeError} `KEYLIME_CANCELLED`: the signal aborted.
 */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined, who: string): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(newFailure('cancelled', `${who}: the caller went away`))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
