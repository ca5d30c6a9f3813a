/**
 * One gRPC connection to a SPIRE server over its Unix socket: deadlines, cancellation, explained failures.
 *
 * The socket needs no TLS: whoever may open it is a local caller, and the server's authorization does the rest.
 *
 * @see spiffe/spire ef8527ec9, pkg/server/endpoints/endpoints_posix.go
 * @module
 */
import { Client, credentials, Metadata, type MethodDefinition, status } from '@grpc/grpc-js'
import { SpireApiError, type SpireApiErrorCode } from './errors.ts'
import { socketFailure } from './socket-failures.ts'

/** Limit of one call where nobody sets another. */
export const DEFAULT_TIMEOUT_MS = 5_000

/** Longest answer: a page of 500 agents with 26 selectors each is about 1 MiB. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/** How a server is reached. */
export interface SpireConnectionOptions {
  /** Absolute path of the server's socket, such as `/tmp/spire-server/private/api.sock`. */
  readonly socketPath: string
  /** Limit of one call, milliseconds; default 5,000. */
  readonly timeoutMs?: number
  /** Called after each call. */
  readonly observe?: (seen: SpireCallSeen) => void
}

/** One call that has ended. */
export interface SpireCallSeen {
  /** Such as `ListAgents`. */
  readonly operation: string
  readonly ms: number
  /** Undefined: it succeeded. */
  readonly failure?: SpireApiErrorCode
}

/** What each call may be given. */
export interface SpireCallOptions {
  readonly signal?: AbortSignal | undefined
}

/** A unary method of a generated service. */
export type UnaryMethod<Q, A> = MethodDefinition<Q, A>

/** An open connection; it dials at the first call and again when the server comes back. */
export class SpireConnection {
  /** The server in the words of messages. */
  readonly name: string
  readonly #client: Client
  readonly #options: SpireConnectionOptions

  /** @param options See `SpireConnectionOptions`. */
  constructor(options: SpireConnectionOptions) {
    this.#options = options
    this.name = `spire server ${options.socketPath}`
    this.#client = new Client(`unix:${options.socketPath}`, credentials.createInsecure(), {
      // A server that was restarted is to be found again within a second: the default backs off to two minutes.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
      'grpc.enable_retries': 0,
    })
  }

  /**
   * Makes one call.
   *
   * @param method The method of a generated service.
   * @param request Its request.
   * @param about What it is about in messages, such as an agent's ID; empty for nothing in particular.
   * @param options `signal`: the caller's.
   * @returns The answer.
   * @throws {SpireApiError} Any code but `SPIRE_BAD_ANSWER`.
   */
  async call<Q, A>(method: UnaryMethod<Q, A>, request: Q, about = '', options: SpireCallOptions = {}): Promise<A> {
    const operation = method.path.slice(method.path.lastIndexOf('/') + 1)
    const started = performance.now()
    const seen = (failure?: SpireApiErrorCode): void =>
      this.#options.observe?.({ operation, ms: performance.now() - started, ...(failure && { failure }) })
    try {
      const answer = await this.#send(method, request, options.signal)
      seen()
      return answer
    } catch (error) {
      const explained = await this.#explain(error, operation, about)
      seen(explained.code)
      throw explained
    }
  }

  /** Closes the connection; calls under way end with `SPIRE_CANCELLED` or `SPIRE_UNREACHABLE`. */
  close(): void {
    this.#client.close()
  }

  #send<Q, A>(method: UnaryMethod<Q, A>, request: Q, signal: AbortSignal | undefined): Promise<A> {
    const { promise, resolve, reject } = Promise.withResolvers<A>()
    if (signal?.aborted === true) {
      return Promise.reject(Object.assign(new Error('cancelled'), { code: status.CANCELLED, details: 'cancelled' }))
    }
    const deadline = Date.now() + this.#timeoutMs
    const { path, requestSerialize, responseDeserialize } = method
    const call = this.#client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      { deadline },
      (error, answer) => {
        signal?.removeEventListener('abort', cancel)
        if (error !== null) reject(error)
        else if (answer === undefined) reject(new Error('no answer'))
        else resolve(answer)
      },
    )
    const cancel = (): void => call.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    return promise
  }

  #explain(error: unknown, operation: string, about: string): Promise<SpireApiError> | SpireApiError {
    const cause = error instanceof Error ? error : new Error(String(error))
    const code = 'code' in cause ? cause.code : undefined
    if (code === status.UNAVAILABLE) return socketFailure(this.#options.socketPath, cause)
    const what = about === '' ? operation : `${operation} of ${about}`
    const [meaning, words] = meaningOf(code, 'details' in cause ? String(cause.details) : cause.message)
    const said = meaning === 'SPIRE_TIMEOUT' ? `no answer within ${this.#timeoutMs} ms` : words
    return new SpireApiError(meaning, `${this.name}: ${what}: ${said}`, { cause })
  }

  get #timeoutMs(): number {
    return this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  }
}

// What a gRPC status means to a caller of this room.
function meaningOf(code: unknown, said: string): readonly [SpireApiErrorCode, string] {
  switch (code) {
    case status.DEADLINE_EXCEEDED:
      return ['SPIRE_TIMEOUT', said]
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return ['SPIRE_DENIED', `the server's authorization policy refuses this caller: ${said}`]
    case status.NOT_FOUND:
      return ['SPIRE_NOT_FOUND', said]
    case status.FAILED_PRECONDITION:
      return ['SPIRE_PRECONDITION', said]
    case status.CANCELLED:
      return ['SPIRE_CANCELLED', 'cancelled']
    default:
      return ['SPIRE_FAILED', typeof code === 'number' ? `${status[code] ?? code}: ${said}` : said]
  }
}
