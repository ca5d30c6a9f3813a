/**
 * The TCP and TLS connections of undici, opened here so that a later failure of each can be explained.
 *
 * @module
 */
import * as net from 'node:net'
import * as tls from 'node:tls'
import type { KeylimeError } from '../basis/errors.ts'
import type { HostPort } from '../basis/host-port.ts'
import type { TlsMaterial } from '../tls-files/tls-files.ts'
import type { Connection, ConnectionPhase } from './connection.ts'
import { explainConnectFailure } from './network-failures.ts'
import type { Peer } from './peer.ts'
import { describeNoPeer, presentedBy, whyNotNamed } from './peer-certificates.ts'

/** Maker of the connections of one pool, which remembers each. */
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

/**
 * Another way to a service than TCP from here: a tunnel, a jump host, a door into another network.
 *
 * @param address Where the service listens, as seen at the far end.
 * @returns A connected stream; TLS, when spoken, runs through it end to end.
 * @throws {Error} With the system's `code` (`ECONNREFUSED` and the like), which decides what an operator is told.
 */
export type Dial = (address: HostPort) => Promise<net.Socket>

/** What every connection of a pool has in common. */
export interface ConnectorOptions {
  readonly peer: Peer
  /** Absent: TCP from here. */
  readonly dial?: Dial | undefined
  /** Absent for plain HTTP. */
  readonly material?: TlsMaterial
  /** Milliseconds for DNS, TCP and TLS together. */
  readonly timeoutMs: number
}

/** How many addresses of one name can be tried one after the other within the time limit. */
const ADDRESSES_IN_TIME = 3

type Done = (...result: [null, Connection] | [KeylimeError]) => void

interface Session {
  readonly ticket: Buffer
  /** Milliseconds since the epoch: not used when the server's certificate is past its end. */
  readonly until: number
}

/** The latest session of one pool. */
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
 * @param options The peer and its material.
 * @returns The connector.
 */
export function newConnector(options: ConnectorOptions): Connector {
  const origins = new WeakMap<object, Connection>()
  const opening = new Set<Connection>()
  const sessions = newSessions()
  let hello: Hello = 'full'

  const startOn = (raw: net.Socket | undefined, done: Done): void => {
    const used = sessions.offer()
    // One that has waited long enough in vain speaks for the next: its own time is up only after its request's.
    const longAgo = performance.now() - options.timeoutMs / 2
    if ([...opening].some((one) => one.began < longAgo && isUnheard(one))) hello = 'compact'
    const said = hello
    const connection = connectionOn(raw, options, { ticket: used?.ticket, hello: said })
    const { socket } = connection
    opening.add(connection)
    socket.on('error', (error) => origins.set(error, connection))
    socket.on('session', (ticket: Buffer) => sessions.keep(connection, ticket, used))
    whenOpen(connection, options, (error, late) => {
      opening.delete(connection)
      if (error !== null && used !== undefined && connection.phase === 'handshake' && !late) {
        // The Rust agent answers every resumed session with the alert "internal error": ask anew, without one.
        sessions.drop(used, 'tls_error' in error.facts)
        start(done)
      } else if (error !== null && options.material !== undefined && isUnheard(connection)) {
        hello = said === 'full' ? 'compact' : 'full'
        // A cut is answered at once with the other hello; who waited in vain gets it with the next connection.
        if (said === 'full' && !late) start(done)
        else done(error)
      } else if (error === null) done(null, connection)
      else done(error)
    })
  }
  const start = (done: Done): void => {
    if (options.dial === undefined) startOn(undefined, done)
    else dialInTime(options.dial, options, (error, raw) => (error === null ? startOn(raw, done) : done(error)))
  }

  return {
    connect: (_options, callback) =>
      start((...result) => {
        if (result[0] === null) callback(null, result[1].socket)
        else callback(result[0], null)
      }),
    connectionOf: (error) => (typeof error === 'object' && error !== null ? origins.get(error) : undefined),
    opening: () => [...opening].at(0)?.phase,
    open: () =>
      new Promise((resolve, reject) => {
        start((...result) => (result[0] === null ? resolve(result[1]) : reject(result[0])))
      }),
  }
}

/**
 * What a client says first. The full one offers a key exchange that withstands quantum computers and takes more than one
 * packet, which some firewalls and tunnels lose; the compact one fits into any.
 */
type Hello = 'full' | 'compact'

// Whether the other side has said nothing at all to our first words in TLS.
function isUnheard({ phase, socket }: Connection): boolean {
  return phase === 'handshake' && socket.bytesRead === 0
}

/** Calls back once, when a connection is open or has failed; `late` when it was given up. */
function whenOpen(
  connection: Connection,
  options: ConnectorOptions,
  done: (error: KeylimeError | null, late: boolean) => void,
): void {
  const { socket } = connection
  let settled = false
  let late = false
  const settle = (error: KeylimeError | null): void => {
    if (settled) return
    settled = true
    clearTimeout(timer)
    done(error, late)
  }
  const timer = setTimeout(() => {
    late = true
    socket.destroy(new ConnectTimeout())
  }, options.timeoutMs)
  socket.on('error', (error) => settle(explainConnectFailure(error, { ...options, connection })))
  socket.once('close', () => settle(explainConnectFailure(new Error('closed'), { ...options, connection })))
  const opened = (): void => {
    connection.phase = 'open'
    settle(null)
  }
  if (connection.phase === 'open') opened()
  else socket.once(options.material === undefined ? 'connect' : 'secureConnect', opened)
}

/** The error of a connection that was not open in time. */
export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout'
}

function dialInTime(
  dial: Dial,
  options: ConnectorOptions,
  done: (...result: [null, net.Socket] | [KeylimeError, null]) => void,
): void {
  const { host, port } = options.peer
  const fail = (error: unknown): void => done(explainConnectFailure(asError(error), options), null)
  let late = false
  const timer = setTimeout(() => {
    late = true
    fail(new ConnectTimeout())
  }, options.timeoutMs)
  const dialled = async (): Promise<void> => {
    try {
      const raw = await dial({ host, port })
      clearTimeout(timer)
      // A stream that comes too late is nobody's any more.
      if (late) raw.destroy()
      else done(null, raw)
    } catch (error) {
      clearTimeout(timer)
      if (!late) fail(error)
    }
  }
  void dialled()
}

function connectionOn(
  raw: net.Socket | undefined,
  { peer, material, timeoutMs }: ConnectorOptions,
  { ticket, hello }: { readonly ticket: Buffer | undefined; readonly hello: Hello },
): Connection {
  const { host, port } = peer
  // Of a name with several addresses each gets its time: by default Node.js gives up a slow one after half a second.
  const dialled = { host, port, autoSelectFamilyAttemptTimeout: Math.ceil(timeoutMs / ADDRESSES_IN_TIME) }
  const facts = { began: performance.now(), resumed: false, presented: [] }
  const first = net.isIP(host) === 0 ? 'resolving' : 'connecting'
  if (material === undefined) {
    const socket = raw ?? net.connect({ ...dialled, noDelay: true, keepAlive: true })
    return followed({ ...facts, phase: raw === undefined ? first : 'open', socket })
  }
  const socket = tls.connect({
    ...(raw === undefined ? dialled : { socket: raw }),
    secureContext: hello === 'full' ? material.secureContext : material.compactContext(),
    // Said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment changes nothing.
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    ...(ticket !== undefined && { session: ticket }),
    // SNI must not be an address; the name checked is the expected one whatever was dialled.
    servername: net.isIP(peer.expectedName) === 0 ? peer.expectedName : '',
    checkServerIdentity: () => whyNotNamed(connection.presented[0], peer.expectedName),
  })
  describeNoPeer(socket)
  socket.setNoDelay(true).setKeepAlive(true, 60_000)
  const connection = followed({ ...facts, phase: raw === undefined ? first : 'handshake', socket })
  socket.once('connect', () => {
    connection.phase = 'handshake'
  })
  // Before Node's own listener, which destroys a connection that does not verify and with it what the server sent.
  socket.prependOnceListener('secure', () => {
    connection.judged = true
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

/** Notes when the name has an address. */
function followed(connection: Connection): Connection {
  connection.socket.once('lookup', () => {
    if (connection.phase === 'resolving') connection.phase = 'connecting'
  })
  return connection
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
