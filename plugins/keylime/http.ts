/**
 * HTTPS (and, for a Keylime agent without TLS, HTTP) to one service, with every failure explained.
 *
 * @module
 */
import { isIP } from 'node:net'
import type { Pool } from 'undici'
import type { ClientCertificate } from './client-certificate.ts'
import { type Connector, newConnector } from './connect.ts'
import { KeylimeError } from './errors.ts'
import { type Exchange, type ExchangeProgress, type HttpAnswer, sendExchange } from './exchange.ts'
import { newFailure } from './failures.ts'
import { formatHostPort } from './host-port.ts'
import { errorCode, explainConnectFailure, phaseInWords } from './network-failures.ts'
import { RequestScope } from './request-scope.ts'
import { RequestSlots, type SlotCounts } from './request-slots.ts'
import { explainSilentClose } from './silent-close.ts'
import { type Target, type TargetSettings, targetInWords } from './target.ts'
import type { TlsMaterial } from './tls-files.ts'
import type { TlsSource } from './tls-watch.ts'

/** Bounds an answer: an agent record takes 1 to 20 KiB. */
export const DEFAULT_MAX_BODY_BYTES = 1024 * 1024

/** Is how many requests one service gets at a time: a real verifier handles one at a time anyway. */
export const DEFAULT_MAX_CONNECTIONS = 32

/** Bounds the requests that wait for one service: two storms of 5,000 nodes. */
export const DEFAULT_MAX_WAITING = 10_000

// Below the 5 s after which a Keylime agent (actix) closes an idle connection.
const KEEP_ALIVE_MS = 4_000

// A connection that went stale may be followed by another one of the same age.
const MAX_ATTEMPTS = 4

/** Describes one service and how to reach it. */
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
  /** Milliseconds for one request, its wait for a connection included. */
  readonly timeoutMs: number
  readonly maxConnections?: number
  readonly maxWaiting?: number
  /** Configuration keys for messages. */
  readonly settings?: TargetSettings
  /** Called after each request. */
  readonly observe?: (seen: RequestSeen) => void
}

/** Tells metrics what became of one request. */
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

/** Describes one request. */
export interface HttpRequestOptions {
  readonly signal?: AbortSignal | undefined
  /** Names the request for metrics; default `request`. */
  readonly operation?: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** JSON text. */
  readonly body?: string
  readonly timeoutMs?: number
  readonly maxBodyBytes?: number
}

interface PoolInUse {
  readonly pool: Pool
  readonly connector: Connector
  readonly material: TlsMaterial | undefined
}

/** Speaks HTTP with one service over one pool of connections; new TLS material means a new pool. */
export class HttpsOrigin {
  readonly target: Target
  readonly #options: HttpsOriginOptions
  readonly #slots: RequestSlots
  readonly #who: string
  #inUse: PoolInUse | undefined
  #closed = false

  /** @param options The service. */
  constructor(options: HttpsOriginOptions) {
    this.#options = options
    const { role, host, port, tls, settings = {} } = options
    const expectedName = options.serverName ?? host
    this.target = { role, host, port, tls: tls !== undefined, expectedName, settings }
    this.#who = targetInWords(this.target)
    this.#slots = new RequestSlots(
      options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
      options.maxWaiting ?? DEFAULT_MAX_WAITING,
    )
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
  get counts(): SlotCounts {
    return this.#slots.counts
  }

  /**
   * Sends one request.
   *
   * A GET whose kept-alive connection turns out closed is sent again on another; nothing else is ever repeated.
   *
   * @param path Absolute path with query, already percent-encoded.
   * @param request Signal, bounds, method.
   * @returns The answer, whatever its status.
   * @throws {KeylimeError} `KEYLIME_UNREACHABLE`, `KEYLIME_TIMEOUT`, `KEYLIME_UNAVAILABLE` (queue full),
   *   `KEYLIME_PEER_UNTRUSTED`, `KEYLIME_CLIENT_REFUSED`, `KEYLIME_BAD_RESPONSE` (too large), `KEYLIME_CANCELLED`.
   */
  async request(path: string, request: HttpRequestOptions = {}): Promise<HttpAnswer> {
    const began = performance.now()
    const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs
    const progress: ExchangeProgress = { started: false, answered: false }
    const scope = new RequestScope(timeoutMs, request.signal, (why) => this.#explainEnd(why, timeoutMs, progress))
    const operation = request.operation ?? 'request'
    const seen = (): Omit<RequestSeen, 'status'> => ({
      role: this.target.role,
      operation,
      durationMs: performance.now() - began,
    })
    try {
      await this.#takeSlot(scope)
      try {
        const answer = await this.#attempt(this.#exchangeFor(path, request), scope, progress, timeoutMs)
        this.#options.observe?.({ ...seen(), status: answer.status })
        return answer
      } finally {
        this.#slots.release()
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
    this.#closed = true
    const { pool } = this.#inUse ?? {}
    this.#inUse = undefined
    await pool?.close()
  }

  #exchangeFor(path: string, request: HttpRequestOptions): Exchange {
    const { target } = this
    // A virtual host behind a proxy is chosen by name, also when an address was dialled.
    const named = isIP(target.expectedName) === 0 ? target.expectedName : target.host
    const isDefaultPort = target.port === (target.tls ? 443 : 80)
    const host = isDefaultPort
      ? formatHostPort({ host: named, port: 0 }).slice(0, -2)
      : formatHostPort({ ...target, host: named })
    return {
      path,
      method: request.method ?? 'GET',
      // Never an Authorization header: Keylime then looks at nothing else, the client certificate included.
      headers: {
        host,
        accept: 'application/json',
        ...(request.body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(request.body !== undefined && { body: request.body }),
      maxBodyBytes: request.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
      who: this.#who,
    }
  }

  #takeSlot(scope: RequestScope): Promise<void> {
    return new Promise((resolve, reject) => {
      if (scope.ended !== undefined) {
        reject(scope.ended)
        return
      }
      const taken = this.#slots.take(resolve)
      if (taken === true) resolve()
      else if (taken === 'full') {
        const { waiting } = this.#slots.counts
        reject(newFailure('queue-full', `${this.#who} is overloaded: ${waiting} requests already wait for it`))
      } else {
        scope.waitFor((error) => {
          taken()
          reject(error)
        })
      }
    })
  }

  async #attempt(
    exchange: Exchange,
    scope: RequestScope,
    progress: ExchangeProgress,
    timeoutMs: number,
  ): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      const use = await this.#poolInUse(scope)
      progress.started = false
      try {
        return await sendExchange(use.pool, exchange, scope, progress)
      } catch (error) {
        if (scope.ended !== undefined) throw scope.ended
        const failure = await this.#explain(error, use, scope, { timeoutMs, answered: progress.answered })
        if (attempt >= MAX_ATTEMPTS || !this.#mayRepeat(error, failure, exchange, progress, use)) throw failure
      }
    }
  }

  #mayRepeat(
    error: unknown,
    failure: KeylimeError,
    exchange: Exchange,
    progress: ExchangeProgress,
    use: PoolInUse,
  ): boolean {
    if (this.#closed) return false
    // The pool was replaced between our choosing it and its taking the request.
    if (['UND_ERR_DESTROYED', 'UND_ERR_CLOSED'].includes(errorCode(error))) return true
    // Our certificate may have been renewed on disk a moment ago.
    if (failure.code === 'KEYLIME_CLIENT_REFUSED' || failure.code === 'KEYLIME_PEER_UNTRUSTED') {
      return this.#options.tls?.recheck() !== use.material
    }
    const connection = use.connector.connectionOf(error)
    const isStale = connection?.phase === 'open' && connection.socket.bytesRead > 0
    return isStale && !progress.answered && exchange.method === 'GET'
  }

  async #explain(
    error: unknown,
    use: PoolInUse,
    scope: RequestScope,
    facts: { readonly timeoutMs: number; readonly answered: boolean },
  ): Promise<KeylimeError> {
    if (error instanceof KeylimeError) return error
    const connection = use.connector.connectionOf(error)
    const context = { target: this.target, material: use.material, connection, ...facts }
    const failure = explainConnectFailure(error instanceof Error ? error : new Error(String(error)), context)
    const silent =
      failure.facts['reason'] === 'reset' && connection?.phase === 'open' && connection.socket.bytesRead === 0
    if (!silent || use.material === undefined) return failure
    return (await explainSilentClose(use.connector, this.target, use.material, scope)) ?? failure
  }

  #explainEnd(why: 'timeout' | 'cancelled', timeoutMs: number, progress: ExchangeProgress): KeylimeError {
    if (why === 'cancelled') return newFailure('cancelled', `${this.#who}: the caller went away`)
    const { waiting } = this.#slots.counts
    const phase = progress.started ? 'open' : this.#inUse?.connector.opening()
    const waitedFor = progress.answered ? 'the answer had begun and did not end' : phaseInWords(phase)
    return newFailure('timeout', `${this.#who} did not answer within ${timeoutMs} ms: ${waitedFor}`, {
      facts: { timeout_ms: timeoutMs, waiting },
    })
  }

  async #poolInUse(scope: RequestScope): Promise<PoolInUse> {
    if (this.#closed)
      throw newFailure('cancelled', `${this.#who}: its connections are closed, the configuration changed`)
    const material = this.#options.tls?.current()
    const known = this.#inUse
    if (known !== undefined && known.material === material) return known
    const made = await this.#newPool(material)
    if (scope.ended !== undefined || this.#closed) {
      closeQuietly(made)
      throw (
        scope.ended ?? newFailure('cancelled', `${this.#who}: its connections are closed, the configuration changed`)
      )
    }
    // Loading undici took time: another request may have made the pool meanwhile.
    const now = this.#inUse
    if (now !== undefined && now !== known && now.material === material) {
      closeQuietly(made)
      return now
    }
    this.#inUse = made
    // Requests in flight on the old pool finish there.
    if (known !== undefined) closeQuietly(known)
    return made
  }

  async #newPool(material: TlsMaterial | undefined): Promise<PoolInUse> {
    const PoolClass = await loadPool()
    const { target, timeoutMs } = { target: this.target, timeoutMs: this.#options.timeoutMs }
    const connector = newConnector({ target, timeoutMs, ...(material !== undefined && { material }) })
    const pool = new PoolClass(`${target.tls ? 'https' : 'http'}://${formatHostPort(target)}`, {
      connect: connector.connect,
      connections: this.#options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: 60_000,
      // The request's own deadline covers both.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    return { pool, connector, material }
  }
}

// A pool that closes finishes what it has; that it was destroyed meanwhile is nobody's problem.
function closeQuietly({ pool }: PoolInUse): void {
  pool.close().catch(() => undefined)
}

let poolClass: Promise<typeof Pool> | undefined

/**
 * Loads undici's pool, after the handshake with the host; later calls wait for the same load.
 *
 * Only the pool: the whole of undici takes 9 MB and 40 ms more.
 */
function loadPool(): Promise<typeof Pool> {
  poolClass ??= (async () => {
    // @ts-expect-error the file has no types of its own; it exports what 'undici' types as Pool
    const loaded: { readonly default: typeof Pool } = await import('undici/lib/dispatcher/pool.js') // oxlint-disable-line typescript/no-unsafe-assignment
    return loaded.default
  })()
  return poolClass
}
