/**
 * Opens TCP and TLS connections for undici and remembers about each what a later failure needs to be explained.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import * as net from 'node:net'
import * as tls from 'node:tls'
import type { KeylimeError } from '../basis/errors.ts'
import type { TlsMaterial } from '../tls-files/tls-files.ts'
import { explainConnectFailure } from './network-failures.ts'
import { describeNoPeer, presentedBy, whyNotNamed } from './peer-certificates.ts'
import type { Target } from './target.ts'

/** Says how far a connection came. */
export type ConnectionPhase = 'connecting' | 'handshake' | 'open'

/** Holds the facts of one connection. */
export interface Connection {
  phase: ConnectionPhase
  readonly socket: net.Socket
  /** Whether an earlier TLS session was taken up again. */
  resumed: boolean
  /** Certificates the server sent, leaf first; empty for plain HTTP and resumed sessions. */
  presented: readonly X509Certificate[]
}

/** Makes and remembers the connections of one pool. */
export interface Connector {
  /** The function undici calls for each new connection. */
  readonly connect: (options: unknown, callback: (...result: [Error, null] | [null, net.Socket]) => void) => void
  /** Finds the connection an error came from. */
  connectionOf(error: unknown): Connection | undefined
  /** How far the connection came that is being opened, if any. */
  opening(): ConnectionPhase | undefined
  /** Opens a connection that undici does not know of; rejects with a `KeylimeError`. */
  open(): Promise<Connection>
}

/** Holds what every connection of a pool has in common. */
export interface ConnectorOptions {
  readonly target: Target
  /** Absent for plain HTTP. */
  readonly material?: TlsMaterial
  /** Milliseconds for DNS, TCP and TLS together. */
  readonly timeoutMs: number
}

interface Session {
  readonly ticket: Buffer
  /** Milliseconds since the epoch: not used when the server's certificate is past its end. */
  readonly until: number
}

/** Keeps the latest session of one pool. */
interface Sessions {
  offer(): Session | undefined
  keep(connection: Connection, ticket: Buffer, resumed: Session | undefined): void
  /** Forgets a session that did not lead to a connection; for good when the server refuses to take any up again. */
  drop(resumed: Session, isRefused: boolean): void
}

function newSessions(): Sessions {
  let latest: Session | undefined
  let wanted = true
  return {
    offer: () => (wanted && latest !== undefined && latest.until > Date.now() ? latest : undefined),
    keep({ presented }, ticket, resumed) {
      const leaf = presented[0]
      latest = { ticket, until: leaf === undefined ? (resumed?.until ?? 0) : Date.parse(leaf.validTo) }
    },
    drop(resumed, isRefused) {
      if (isRefused) wanted = false
      if (latest === resumed) latest = undefined
    },
  }
}

/**
 * Makes the connector of one pool. TLS sessions are kept within it, so new material never resumes an old identity.
 *
 * @param options The target and its material.
 * @returns The connector.
 */
export function newConnector(options: ConnectorOptions): Connector {
  const origins = new WeakMap<object, Connection>()
  const opening = new Set<Connection>()
  const sessions = newSessions()

  const start = (done: (error: Error | null, connection: Connection) => void): void => {
    const used = sessions.offer()
    const connection = dial(options, used?.ticket)
    const { socket } = connection
    opening.add(connection)
    let settled = false
    let late = false
    const settle = (error: KeylimeError | null): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      opening.delete(connection)
      if (error !== null && used !== undefined && connection.phase === 'handshake' && !late) {
        // The Rust agent answers every resumed session with the alert "internal error": ask anew, without one.
        sessions.drop(used, 'tls_error' in error.facts)
        start(done)
      } else done(error, connection)
    }
    const timer = setTimeout(() => {
      late = true
      socket.destroy(new ConnectTimeout())
    }, options.timeoutMs)
    socket.on('error', (error) => {
      origins.set(error, connection)
      settle(explainConnectFailure(error, { ...options, connection }))
    })
    socket.once('close', () => settle(explainConnectFailure(new Error('closed'), { ...options, connection })))
    socket.once(options.material === undefined ? 'connect' : 'secureConnect', () => {
      connection.phase = 'open'
      settle(null)
    })
    socket.on('session', (ticket: Buffer) => sessions.keep(connection, ticket, used))
  }

  return {
    connect: (_options, callback) =>
      start((error, { socket }) => {
        if (error === null) callback(null, socket)
        else callback(error, null)
      }),
    connectionOf: (error) => (typeof error === 'object' && error !== null ? origins.get(error) : undefined),
    opening: () => [...opening].at(0)?.phase,
    open: () =>
      new Promise((resolve, reject) => {
        start((error, connection) => (error === null ? resolve(connection) : reject(error)))
      }),
  }
}

/** Marks a connection that was not open in time. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout'
}

function dial({ target, material }: ConnectorOptions, ticket: Buffer | undefined): Connection {
  const { host, port } = target
  if (material === undefined) {
    const socket = net.connect({ host, port, noDelay: true, keepAlive: true })
    return { phase: 'connecting', socket, resumed: false, presented: [] }
  }
  const socket = tls.connect({
    host,
    port,
    secureContext: material.secureContext,
    // Said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment changes nothing.
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    ...(ticket !== undefined && { session: ticket }),
    // SNI must not be an address; the name checked is the expected one whatever was dialled.
    servername: net.isIP(target.expectedName) === 0 ? target.expectedName : '',
    checkServerIdentity: () => whyNotNamed(connection.presented[0], target.expectedName),
  })
  describeNoPeer(socket)
  socket.setNoDelay(true).setKeepAlive(true, 60_000)
  const connection: Connection = { phase: 'connecting', socket, resumed: false, presented: [] }
  socket.once('connect', () => {
    connection.phase = 'handshake'
  })
  // Before Node's own listener, which destroys a connection that does not verify and with it what the server sent.
  socket.prependOnceListener('secure', () => {
    connection.resumed = socket.isSessionReused()
    if (!connection.resumed) connection.presented = presentedBy(socket)
  })
  // In TLS 1.2 a refusal of our certificate can be an end in mid handshake: what the server had shown by then tells.
  socket.prependOnceListener('end', () => {
    if (connection.phase === 'handshake' && connection.presented.length === 0)
      connection.presented = presentedBy(socket)
  })
  return connection
}
