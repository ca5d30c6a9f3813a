// The HTTPS server under each fake Keylime service: client certificates, pacing, faults and counters.
import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { answerWrongly, type FakeAnswer, type Fault } from './faults.ts'
import { newPacer } from './pacing.ts'
import { pickyListener } from './picky-listener.ts'

/** The certificates of a fake server; all PEM. */
export interface FakeTls {
  readonly cert: string
  readonly key: string
  /** Issuers of client certificates. */
  readonly ca?: string
  /** `optional`: none is fine, a bad one ends the handshake, as the verifier since 7.14.0; `required`: as the agent. */
  readonly clientCertificates: 'none' | 'optional' | 'required'
  /** Answers a resumed session with an alert. */
  readonly refusesResumption?: boolean
}

/** Sets up any fake server. */
export interface FakeServerOptions {
  /** Left out: plain HTTP. */
  readonly tls?: FakeTls
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Default 0, a free one. */
  readonly port?: number
  /** The server's clock in milliseconds, for `Date` headers and time stamps. */
  readonly now?: () => number
  /** Takes each route's service time, one request at a time, as one real worker does. */
  readonly paced?: boolean
}

/** A request as the routes see it. */
export interface FakeRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** CN of a verified client certificate; undefined is an anonymous caller. */
  readonly clientName: string | undefined
  /** What was sent; `''` for a GET. */
  readonly body: string
}

/** Says where a request goes and how to answer it. */
export interface FakeRoute {
  /** Name that counters, delays and faults go by. */
  readonly endpoint: string
  /** How long the real service works on it. */
  readonly serviceMs?: number
  readonly answer: () => FakeAnswer
}

/** Counts what a server has seen since it started or since `resetStats`. */
export interface FakeStats {
  readonly requests: Record<string, number>
  /** Requests by HTTP method. */
  readonly methods: Record<string, number>
  /** Requests by CN of the client certificate. */
  readonly clients: Record<string, number>
  connections: number
  resumedSessions: number
  refusedClients: number
  inFlightMax: number
}

/** A running fake server. */
export interface FakeServer {
  readonly host: string
  readonly port: number
  readonly url: string
  readonly stats: FakeStats
  /** Counts requests that are neither answered nor given up by their client. */
  inFlight(): number
  /** Paths and queries of the last 1,000 requests. */
  readonly seen: readonly string[]
  resetStats(): void
  /** Lets requests to an endpoint (`*`: all) fail, the given number of times or until `clearFaults`. */
  fail(endpoint: string, fault: Fault, times?: number): void
  clearFaults(): void
  /** Delays each answer of an endpoint (`*`: all). */
  delay(endpoint: string, ms: number): void
  /** Shows another certificate to new connections, and with `ca` asks them for one of other issuers. */
  setCertificate(pair: { readonly cert: string; readonly key: string; readonly ca?: string }): void
  dropConnections(): void
  /** Stops listening and drops connections; `resume` listens on the same port again. */
  pause(): Promise<void>
  resume(): Promise<void>
  close(): Promise<void>
}

const SEEN_MAX = 1000

/** Starts a server. */
export async function startFakeServer(
  options: FakeServerOptions,
  route: (request: FakeRequest) => FakeRoute,
): Promise<FakeServer> {
  const { host = '127.0.0.1', now = Date.now } = options
  const stats = newStats()
  const seen: string[] = []
  const connections = new Map<number, Socket>()
  const faults = new Map<string, { readonly fault: Fault; left: number }>()
  const delays = new Map<string, number>()
  const pace = newPacer(options.paced ?? false)
  let inFlight = 0

  const takeFault = (endpoint: string): Fault | undefined => {
    const entry = [faults.get(endpoint), faults.get('*')].find((one) => one !== undefined && one.left > 0)
    if (entry === undefined) return undefined
    entry.left -= 1
    return entry.fault
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = readRequest(request, request.method === 'GET' ? '' : await bodyOf(request))
    request.resume()
    const found = route(asked)
    const { endpoint } = found
    count(stats.requests, endpoint)
    count(stats.methods, asked.method)
    if (asked.clientName !== undefined) count(stats.clients, asked.clientName)
    if (seen.push(request.url ?? '') > SEEN_MAX) seen.shift()
    inFlight += 1
    stats.inFlightMax = Math.max(stats.inFlightMax, inFlight)
    response.once('close', () => (inFlight -= 1))
    const fault = takeFault(endpoint)
    await pace(found.serviceMs ?? 0)
    const delay = delays.get(endpoint) ?? delays.get('*') ?? 0
    if (delay > 0) await wait(delay)
    const send = (answer: FakeAnswer): void => sendAnswer(response, answer, now())
    if (fault === undefined) send(found.answer())
    else answerWrongly(fault, found.answer, { response, connection: connectionOf(request, connections) }, send)
  }
  const server = newServer(options, stats, (request, response) => {
    serve(request, response).catch(() => request.socket.destroy())
  })
  server.on('connection', (socket: Socket) => {
    const { remotePort } = socket
    if (remotePort === undefined) return
    connections.set(remotePort, socket)
    socket.once('close', () => connections.delete(remotePort))
  })
  const listener = options.tls?.refusesResumption === true ? pickyListener(server) : server
  const listen = async (port: number): Promise<number> => {
    listener.listen(port, host)
    await once(listener, 'listening')
    const address = listener.address()
    return address !== null && typeof address === 'object' ? address.port : port
  }
  const dropConnections = (): void => {
    for (const socket of connections.values()) socket.destroy()
  }
  const pause = async (): Promise<void> => {
    if (!listener.listening) return
    listener.close()
    dropConnections()
    await once(listener, 'close')
  }
  const port = await listen(options.port ?? 0)
  return {
    host,
    port,
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    stats,
    inFlight: () => inFlight,
    seen,
    resetStats: () => {
      seen.length = 0
      const { requests, methods, clients } = stats
      for (const counts of [requests, methods, clients]) for (const name of Object.keys(counts)) delete counts[name]
      Object.assign(stats, { ...newStats(), requests, methods, clients })
    },
    fail: (endpoint, fault, times = Number.POSITIVE_INFINITY) => {
      faults.set(endpoint, { fault, left: times })
    },
    clearFaults: () => faults.clear(),
    delay: (endpoint, ms) => {
      delays.set(endpoint, ms)
    },
    setCertificate: (pair) => {
      if (options.tls !== undefined && 'setSecureContext' in server)
        server.setSecureContext({ ...options.tls, ...pair })
    },
    dropConnections,
    pause,
    resume: async () => {
      await listen(port)
    },
    close: pause,
  }
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function newStats(): FakeStats {
  return {
    requests: {},
    methods: {},
    clients: {},
    connections: 0,
    resumedSessions: 0,
    refusedClients: 0,
    inFlightMax: 0,
  }
}

function newServer(
  { tls }: FakeServerOptions,
  stats: FakeStats,
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): Server & { setSecureContext?(context: object): void } {
  // The real ones keep idle connections open for an hour, and end the connection on a request line over 64 KiB.
  const http = { keepAliveTimeout: 3_600_000, requestTimeout: 0, maxHeaderSize: 65_536 }
  const server =
    tls === undefined
      ? createHttpServer(http, listener)
      : createHttpsServer(
          {
            ...http,
            cert: tls.cert,
            key: tls.key,
            ...(tls.ca !== undefined && { ca: tls.ca }),
            requestCert: tls.clientCertificates !== 'none',
            rejectUnauthorized: tls.clientCertificates === 'required',
          },
          listener,
        )
  if (tls === undefined) {
    server.on('connection', () => (stats.connections += 1))
    return server
  }
  server.on('clientError', (_error, socket) => socket.destroy())
  server.on('tlsClientError', () => (stats.refusedClients += 1))
  server.on('secureConnection', (socket: TLSSocket) => {
    stats.connections += 1
    if (socket.isSessionReused()) stats.resumedSessions += 1
    const isRefused = tls.clientCertificates === 'optional' && clientCertificate(socket) !== undefined
    if (!isRefused || socket.authorized) return
    stats.refusedClients += 1
    socket.destroy()
  })
  return server
}

type ClientCertificate = { readonly subject: { readonly CN?: unknown } } | undefined

// Taking a certificate apart costs more than answering a request; a connection never shows another.
const certificates = new WeakMap<TLSSocket, { readonly certificate: ClientCertificate }>()

function clientCertificate(socket: TLSSocket): ClientCertificate {
  const known = certificates.get(socket)
  if (known !== undefined) return known.certificate
  const { subject } = socket.getPeerCertificate() as Partial<ReturnType<TLSSocket['getPeerCertificate']>>
  const certificate = subject === undefined ? undefined : { subject }
  certificates.set(socket, { certificate })
  return certificate
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function readRequest(request: IncomingMessage, body: string): FakeRequest {
  const url = new URL(request.url ?? '/', 'http://fake')
  const { socket } = request
  const isVerified = 'authorized' in socket && socket.authorized === true
  const name = isVerified ? clientCertificate(socket as TLSSocket)?.subject.CN : undefined
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    clientName: typeof name === 'string' ? name : undefined,
    body,
  }
}

function connectionOf(request: IncomingMessage, connections: ReadonlyMap<number, Socket>): Socket | undefined {
  return connections.get(request.socket.remotePort ?? -1)
}

function sendAnswer(response: ServerResponse, answer: FakeAnswer, nowMs: number): void {
  const headers = {
    'content-type': answer.contentType,
    date: new Date(nowMs).toUTCString(),
    'content-length': String(Buffer.byteLength(answer.body)),
    ...answer.headers,
  }
  response.sendDate = false
  response.writeHead(
    answer.status,
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [name, value])),
  )
  response.end(answer.body)
}
