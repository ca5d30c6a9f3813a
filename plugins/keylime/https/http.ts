/**
 * HTTPS (and, for a Keylime agent without TLS, HTTP) to one service, with every failure explained.
 *
 * @module
 */
import { isIP } from 'node:net'
import { KeylimeError } from '../basis/errors.ts'
import { newFailure } from '../basis/failures.ts'
import { formatHostPort } from '../basis/host-port.ts'
import { Limiter, type LimiterCounts } from '../basis/limiter.ts'
import type { ClientCertificate } from '../tls-files/client-certificate.ts'
import type { TlsSource } from '../tls-files/tls-watch.ts'
import type { Dial } from './connect.ts'
import { ConnectionPool, type PoolInUse } from './connection-pool.ts'
import {
  type HttpAnswer,
  type HttpMethod,
  type HttpRequest,
  type RequestProgress,
  sendRequest,
} from './http-request.ts'
import { errorCode, explainConnectFailure, phaseInWords } from './network-failures.ts'
import { type Peer, type PeerSettings, peerInWords } from './peer.ts'
import { RequestScope } from './request-scope.ts'
import { explainSilentClose } from './silent-close.ts'

/** Bound on an answer: an agent record takes 1 to 20 KiB. */
export const DEFAULT_MAX_BODY_BYTES = 1024 * 1024

/** How many requests one service gets at a time: a real verifier handles one at a time anyway. */
export const DEFAULT_MAX_CONNECTIONS = 32

/** Bound on the requests that wait for one service: two storms of 5,000 nodes. */
export const DEFAULT_MAX_WAITING = 10_000

// A connection that went stale may be followed by another one of the same age.
const MAX_ATTEMPTS = 4

// How long an answer stands for "our certificate is accepted".
const ACCEPTED_MS = 10_000

/** One service and the way to it. */
export interface HttpsOriginOptions {
  /** Such as `keylime verifier`; begins messages. */
  readonly role: string
  /** Name or address, without brackets. */
  readonly host: string
  readonly port: number
  /** Name that must stand in the certificate; default: the host. */
  readonly serverName?: string | undefined
  /** CA, certificate and key; absent: plain HTTP. */
  readonly tls?: TlsSource | undefined
  /** Another way there than TCP from here. */
  readonly dial?: Dial | undefined
  /** Milliseconds for one request; also for a wait in the queue without anybody being answered. */
  readonly timeoutMs: number
  readonly maxConnections?: number
  readonly maxWaiting?: number
  /** Milliseconds that an idle connection is kept; default: as long as any Keylime service keeps it. */
  readonly keepAliveMs?: number | undefined
  /** Configuration keys for messages. */
  readonly settings?: PeerSettings
  /** Called after each request. */
  readonly observe?: (seen: RequestSeen) => void
}

/** The end of one request, for metrics. */
export interface RequestSeen {
  readonly role: string
  /** Such as `get_agent`. */
  readonly operation: string
  readonly durationMs: number
  /** HTTP status, when there was an answer. */
  readonly status?: number
  /** The failure, when there was none. */
  readonly error?: KeylimeError
}

/** One request; only a GET may be sent again. */
export interface HttpRequestOptions {
  /** Default GET. */
  readonly method?: HttpMethod
  /** Sent as JSON when given. */
  readonly body?: unknown
  /** Media type of the body; default `application/json`. */
  readonly contentType?: string
  readonly signal?: AbortSignal | undefined
  /** Names the request for metrics; default `request`. */
  readonly operation?: string
  /** Milliseconds on top of the service's time limit, for what takes long. */
  readonly extraTimeMs?: number
  readonly maxBodyBytes?: number
}

/** HTTP with one service over one pool of connections; new TLS material means a new pool. */
export class HttpsOrigin {
  readonly peer: Peer
  readonly #options: HttpsOriginOptions
  readonly #limiter: Limiter
  readonly #who: string
  readonly #hostHeader: string
  readonly #pool: ConnectionPool
  /** When the service last answered, by the monotonic clock. */
  #answeredAt = Number.NEGATIVE_INFINITY

  /** @param options The service. */
  constructor(options: HttpsOriginOptions) {
    this.#options = options
    const { role, host, port, tls, dial, settings = {} } = options
    const expectedName = options.serverName ?? host
    this.peer = { role, host, port, tls: tls !== undefined, expectedName, settings }
    this.#who = peerInWords(this.peer)
    this.#hostHeader = hostHeaderOf(this.peer)
    const {
      maxConnections = DEFAULT_MAX_CONNECTIONS,
      maxWaiting = DEFAULT_MAX_WAITING,
      timeoutMs,
      keepAliveMs,
    } = options
    this.#limiter = new Limiter(maxConnections, maxWaiting)
    this.#pool = new ConnectionPool({ peer: this.peer, tls, dial, maxConnections, timeoutMs, keepAliveMs })
  }

  /** The service in the words of messages, such as `keylime verifier 127.0.0.1:8881`. */
  get name(): string {
    return this.#who
  }

  /** The client certificate in force; undefined without one. */
  get client(): ClientCertificate | undefined {
    return this.#options.tls?.current().client
  }

  /** Requests under way and waiting. */
  get counts(): LimiterCounts {
    return this.#limiter.counts
  }

  /**
   * Sends one request.
   *
   * A GET whose kept-alive connection turns out closed is sent again on another; nothing else is ever repeated.
   *
   * @param path Absolute path with query, already percent-encoded.
   * @param request Signal and bounds.
   * @returns The answer, whatever its status.
   * @throws {KeylimeError} `KEYLIME_UNREACHABLE`, `KEYLIME_TIMEOUT`, `KEYLIME_UNAVAILABLE` (queue full),
   *   `KEYLIME_PEER_UNTRUSTED`, `KEYLIME_CLIENT_REFUSED`, `KEYLIME_BAD_RESPONSE` (too large), `KEYLIME_CANCELLED`.
   */
  async request(path: string, request: HttpRequestOptions = {}): Promise<HttpAnswer> {
    const began = performance.now()
    const timeoutMs = this.#options.timeoutMs + (request.extraTimeMs ?? 0)
    const progress: RequestProgress = { started: false, answered: false }
    const scope = new RequestScope(request.signal, (why) => this.#explainEnd(why, timeoutMs, progress))
    const operation = request.operation ?? 'request'
    const seen = (): Omit<RequestSeen, 'status'> => ({
      role: this.peer.role,
      operation,
      durationMs: performance.now() - began,
    })
    try {
      await this.#takeSlot(scope, timeoutMs)
      try {
        scope.limit(timeoutMs)
        const answer = await this.#attempt(this.#requestFor(path, request), scope, progress, timeoutMs)
        this.#answeredAt = performance.now()
        this.#options.observe?.({ ...seen(), status: answer.status })
        return answer
      } finally {
        this.#limiter.leave()
      }
    } catch (error) {
      if (error instanceof KeylimeError) this.#options.observe?.({ ...seen(), error })
      throw error
    } finally {
      scope.close()
    }
  }

  /** Closes the connections once their requests are answered; later requests fail. */
  async close(): Promise<void> {
    await this.#pool.close()
  }

  #requestFor(path: string, request: HttpRequestOptions): HttpRequest {
    const { method = 'GET', body, contentType = 'application/json' } = request
    return {
      method,
      path,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // Never an Authorization header: Keylime then looks at nothing else, the client certificate included.
      headers: {
        host: this.#hostHeader,
        accept: 'application/json',
        // A cache in front must not hand out a record from before the proof.
        'cache-control': 'no-cache',
        ...(body !== undefined && { 'content-type': contentType }),
      },
      maxBodyBytes: request.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      who: this.#who,
    }
  }

  #takeSlot(scope: RequestScope, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (scope.ended !== undefined) {
        reject(scope.ended)
        return
      }
      const place = this.#limiter.queue({ begin: resolve, sendAway: reject })
      if (place === 'entered') resolve()
      else if (place === 'full') {
        const { waiting } = this.#limiter.counts
        const text = `${this.#who} is overloaded: ${waiting} requests already wait for it`
        reject(newFailure('queue-full', text, { facts: { limit: waiting } }))
      } else {
        // A place in the queue is kept as long as the service answers others: slow is not dead.
        scope.limit(timeoutMs, () => timeoutMs - (performance.now() - this.#answeredAt))
        scope.waitFor((error) => {
          place()
          reject(error)
        })
      }
    })
  }

  async #attempt(
    request: HttpRequest,
    scope: RequestScope,
    progress: RequestProgress,
    timeoutMs: number,
  ): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      const use = await this.#pool.take()
      if (use === undefined)
        throw newFailure('cancelled', `${this.#who}: its connections are closed, the configuration changed`)
      progress.started = false
      try {
        return await sendRequest(use.pool, request, scope, progress)
      } catch (error) {
        if (scope.ended !== undefined) throw scope.ended
        const failure = await this.#explain(error, use, scope, { timeoutMs, answered: progress.answered })
        if (request.method !== 'GET' || attempt >= MAX_ATTEMPTS || !this.#mayRepeat(error, failure, progress, use))
          throw failure
      }
    }
  }

  #mayRepeat(error: unknown, failure: KeylimeError, progress: RequestProgress, use: PoolInUse): boolean {
    if (this.#pool.isClosed) return false
    // The pool was replaced between our choosing it and its taking the request.
    if (['UND_ERR_DESTROYED', 'UND_ERR_CLOSED'].includes(errorCode(error))) return true
    // Our certificate may have been renewed on disk a moment ago.
    if (failure.code === 'KEYLIME_CLIENT_REFUSED' || failure.code === 'KEYLIME_PEER_UNTRUSTED') {
      return this.#options.tls?.recheck() !== use.material
    }
    const connection = use.connector.connectionOf(error)
    const isStale = connection?.phase === 'open' && connection.socket.bytesRead > 0
    return isStale && !progress.answered && failure.code !== 'KEYLIME_BAD_RESPONSE'
  }

  async #explain(
    error: unknown,
    use: PoolInUse,
    scope: RequestScope,
    facts: { readonly timeoutMs: number; readonly answered: boolean },
  ): Promise<KeylimeError> {
    if (error instanceof KeylimeError) return error
    const connection = use.connector.connectionOf(error)
    const context = { peer: this.peer, material: use.material, connection, ...facts }
    const failure = explainConnectFailure(error instanceof Error ? error : new Error(String(error)), context)
    const silent =
      failure.facts['reason'] === 'reset' && connection?.phase === 'open' && connection.socket.bytesRead === 0
    // Whoever was answered a moment ago is not refused for his certificate now.
    const wasAccepted = performance.now() - this.#answeredAt < ACCEPTED_MS
    if (!silent || wasAccepted || use.material === undefined) return failure
    return (await explainSilentClose(use.connector, this.peer, use.material, scope)) ?? failure
  }

  #explainEnd(why: 'timeout' | 'cancelled', timeoutMs: number, progress: RequestProgress): KeylimeError {
    if (why === 'cancelled') return newFailure('cancelled', `${this.#who}: the caller went away`)
    const { waiting } = this.#limiter.counts
    const phase = progress.started ? 'open' : this.#pool.latest?.connector.opening()
    const waitedFor = progress.answered ? 'the answer had begun and did not end' : phaseInWords(this.peer, phase)
    return newFailure('timeout', `${this.#who} did not answer within ${timeoutMs} ms: ${waitedFor}`, {
      facts: { timeout_ms: timeoutMs, waiting, connected: phase === undefined || phase === 'open' },
    })
  }
}

function hostHeaderOf({ expectedName, host, port, tls }: Peer): string {
  // A virtual host behind a proxy is chosen by name, also when an address was dialled.
  const named = isIP(expectedName) === 0 ? expectedName : host
  const isDefaultPort = port === (tls ? 443 : 80)
  return isDefaultPort ? formatHostPort({ host: named, port: 0 }).slice(0, -2) : formatHostPort({ host: named, port })
}
