/**
 * The connections to one service: one undici pool for each generation of TLS files, the old one closed when idle.
 *
 * @module
 */
import util from 'node:util'
import type { Pool } from 'undici'
import { formatHostPort } from '../basis/host-port.ts'
import type { TlsMaterial } from '../tls-files/tls-files.ts'
import type { TlsSource } from '../tls-files/tls-watch.ts'
import { type Connector, type Dial, newConnector } from './connect.ts'
import type { Peer } from './peer.ts'

// Below the 5 s after which a Keylime agent (actix) closes an idle connection; verifier and registrar (tornado) keep theirs.
const KEEP_ALIVE_MS = 4_000

/** The pool requests go to now. */
export interface PoolInUse {
  readonly pool: Pool
  readonly connector: Connector
  /** Absent for plain HTTP. */
  readonly material: TlsMaterial | undefined
}

/** Options that every pool of one service has in common. */
export interface ConnectionPoolOptions {
  readonly peer: Peer
  /** Absent for plain HTTP. */
  readonly tls: TlsSource | undefined
  /** Absent: TCP from here. */
  readonly dial?: Dial | undefined
  readonly maxConnections: number
  /** Milliseconds for DNS, TCP and TLS of one connection. */
  readonly timeoutMs: number
  /** Milliseconds that an idle connection is kept; default: as long as any Keylime service keeps it. */
  readonly keepAliveMs?: number | undefined
}

/** The pool made with the TLS material in force, and those before it until they are idle. */
export class ConnectionPool {
  readonly #options: ConnectionPoolOptions
  #inUse: PoolInUse | undefined
  #closed = false

  /** @param options The service. */
  constructor(options: ConnectionPoolOptions) {
    this.#options = options
  }

  /** Whether {@link ConnectionPool.close} was called. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** The pool made last, if any. */
  get latest(): PoolInUse | undefined {
    return this.#inUse
  }

  /**
   * Gives the pool for a request that is about to be sent.
   *
   * @returns The pool; undefined once closed. Requests in flight on a pool that is replaced finish there.
   */
  async take(): Promise<PoolInUse | undefined> {
    const PoolClass = await loadPool()
    if (this.#closed) return undefined
    const material = this.#options.tls?.current()
    const known = this.#inUse
    if (known !== undefined && known.material === material) return known
    if (known !== undefined) closeQuietly(known)
    this.#inUse = this.#newPool(PoolClass, material)
    return this.#inUse
  }

  /** Closes the connections once their requests are answered. */
  async close(): Promise<void> {
    this.#closed = true
    const { pool } = this.#inUse ?? {}
    this.#inUse = undefined
    await pool?.close()
  }

  #newPool(PoolClass: typeof Pool, material: TlsMaterial | undefined): PoolInUse {
    const { peer, dial, timeoutMs, maxConnections, keepAliveMs = KEEP_ALIVE_MS } = this.#options
    const connector = newConnector({ peer, dial, timeoutMs, ...(material !== undefined && { material }) })
    const pool = new PoolClass(`${peer.tls ? 'https' : 'http'}://${formatHostPort(peer)}`, {
      connect: connector.connect,
      connections: maxConnections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: 60_000,
      // The request's own time limit covers both.
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

const SILENT = Object.assign(() => undefined, { enabled: false })

let poolClass: Promise<typeof Pool> | undefined

// After the handshake with the host, and only the pool: the whole of undici takes 9 MB and 40 ms more.
function loadPool(): Promise<typeof Pool> {
  poolClass ??= (async () => {
    const { debuglog } = util
    // Under NODE_DEBUG=undici each path would be printed, and with it nonces and quotes. undici asks once, when loaded.
    Object.assign(util, { debuglog: () => SILENT })
    // @ts-expect-error the file has no types of its own; it exports what 'undici' types as Pool
    const loaded: { readonly default: typeof Pool } = await import('undici/lib/dispatcher/pool.js') // oxlint-disable-line typescript/no-unsafe-assignment
    Object.assign(util, { debuglog })
    return loaded.default
  })()
  return poolClass
}
