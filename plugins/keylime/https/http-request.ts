/**
 * One HTTP request over one undici pool: bounded, never redirected, never decompressed, and over when its scope is.
 *
 * @module
 */
import type { Dispatcher, Pool } from 'undici'
import { newFailure } from '../basis/failures.ts'
import { excerpt } from '../basis/printable.ts'
import type { RequestScope } from './request-scope.ts'

/** An answer, whatever its status. */
export interface HttpAnswer {
  readonly status: number
  /** Media type in lower case without parameters; `''` when none was sent. */
  readonly contentType: string
  /** The server's time when the answer reached us, seconds since the epoch: its `Date` and, from a cache, its `Age`. */
  readonly date?: number
  readonly body: string
  /** The `Server` header, such as `nginx/1.22.1`: tells a proxy from Keylime. */
  readonly server: string
  /** The `Location` header. */
  readonly location: string
}

/** Methods of Keylime's API. */
export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One request as it is sent. */
export interface HttpRequest {
  readonly method: HttpMethod
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Text sent as it is; the headers say what it is. */
  readonly body?: string | undefined
  readonly maxBodyBytes: number
  /** Begins messages, such as `keylime verifier 127.0.0.1:8881`. */
  readonly who: string
}

/** Progress of an request, for the words of its failure. */
export interface RequestProgress {
  started: boolean
  answered: boolean
}

/**
 * Sends one request and reads its answer.
 *
 * @param pool Where to.
 * @param request What.
 * @param scope Until when; the request's socket is destroyed when the scope ends first.
 * @param progress Filled in on the way.
 * @returns The answer.
 * @throws {Error} Errors of socket and undici as they are; `KeylimeError` of the scope, and `KEYLIME_BAD_RESPONSE` for a body that is too large.
 */
export function sendRequest(
  pool: Pool,
  request: HttpRequest,
  scope: RequestScope,
  progress: RequestProgress,
): Promise<HttpAnswer> {
  if (scope.ended !== undefined) return Promise.reject(scope.ended)
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined
    scope.waitFor((error) => {
      reject(error)
      controller?.abort(error)
    })
    const reader = new AnswerReader(request)
    const { method, path, headers, body } = request
    pool.dispatch(
      { path, method, headers: { ...headers }, ...(body !== undefined && { body }) },
      {
        onRequestStart(started) {
          controller = started
          progress.started = true
          if (scope.ended !== undefined) started.abort(scope.ended)
        },
        onResponseStart(started, status, answerHeaders) {
          // 1xx are news, not answers.
          if (status < 200) return
          progress.answered = true
          const encoded = reader.begin(status, answerHeaders)
          if (encoded !== undefined) started.abort(encoded)
        },
        onResponseData(started, chunk) {
          const tooLarge = reader.add(chunk)
          if (tooLarge !== undefined) started.abort(tooLarge)
        },
        onResponseEnd() {
          resolve(reader.answer())
        },
        onResponseError(_controller, error) {
          reject(error)
        },
      },
    )
  })
}

/** Size from which a piece is kept as it came; smaller ones are gathered. */
const LARGE_BYTES = 4_096
const GATHERED_BYTES = 65_536

/** The pieces of a body: a million of them, a byte each, must not take a hundred bytes apiece. */
class BodyPieces {
  readonly #whole: Buffer[] = []
  #gathering: Buffer | undefined
  #filled = 0

  add(piece: Buffer): void {
    // Nearly every answer is one piece.
    if (this.#whole.length === 0 || piece.length >= LARGE_BYTES) {
      this.#finish()
      this.#whole.push(piece)
      return
    }
    if (this.#filled + piece.length > GATHERED_BYTES) this.#finish()
    this.#gathering ??= Buffer.allocUnsafe(GATHERED_BYTES)
    this.#filled += piece.copy(this.#gathering, this.#filled)
  }

  bytes(): Buffer {
    this.#finish()
    const [only] = this.#whole
    return this.#whole.length === 1 && only !== undefined ? only : Buffer.concat(this.#whole)
  }

  #finish(): void {
    if (this.#gathering !== undefined) this.#whole.push(this.#gathering.subarray(0, this.#filled))
    this.#gathering = undefined
    this.#filled = 0
  }
}

class AnswerReader {
  readonly #request: HttpRequest
  readonly #pieces = new BodyPieces()
  #bytes = 0
  #status = 0
  #headers: Dispatcher.ResponseData['headers'] = {}

  constructor(request: HttpRequest) {
    this.#request = request
  }

  begin(status: number, headers: Dispatcher.ResponseData['headers']): Error | undefined {
    this.#status = status
    this.#headers = headers
    const encoding = this.#header('content-encoding').trim().toLowerCase()
    if (encoding === '' || encoding === 'identity') return undefined
    return newFailure(
      'answer-not-json',
      `${this.#request.who} answers in the encoding ${excerpt(encoding)}, which was not asked for; switch compression off in the proxy before it`,
      { facts: { http_status: status } },
    )
  }

  add(chunk: Buffer): Error | undefined {
    this.#bytes += chunk.length
    const { maxBodyBytes, who } = this.#request
    if (this.#bytes <= maxBodyBytes) {
      this.#pieces.add(chunk)
      return undefined
    }
    return newFailure(
      'answer-too-large',
      `${who} answers with more than ${maxBodyBytes} bytes (HTTP ${this.#status}); is it the right service?`,
      { facts: { http_status: this.#status } },
    )
  }

  answer(): HttpAnswer {
    const date = timeOf(this.#header('date'), this.#header('age'))
    return {
      status: this.#status,
      contentType: (this.#header('content-type').split(';')[0] ?? '').trim().toLowerCase(),
      ...(date !== undefined && { date }),
      body: this.#pieces.bytes().toString('utf8'),
      server: this.#header('server'),
      location: this.#header('location'),
    }
  }

  #header(name: string): string {
    const value = this.#headers[name]
    return (Array.isArray(value) ? value[0] : value) ?? ''
  }
}

// Freshness is judged by this clock, so only the one form that HTTP allows counts (RFC 9110 section 5.6.7). A cache in
// front hands out an old answer with its old date, and says in `Age` how old it is (RFC 9111 section 5.1).
function timeOf(date: string, age: string): number | undefined {
  const time = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(date)
    ? Date.parse(date)
    : Number.NaN
  if (Number.isNaN(time) || !/^\d{0,9}$/.test(age)) return undefined
  return time / 1000 + Number(age)
}
