/**
 * What the daemon serves: page, events, metrics, health on HTTP; questions and orders on Unix sockets.
 *
 * @module
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { dirname } from 'node:path'
import type { HttpSettings } from './settings.ts'

/** An answer. */
export interface Served {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Answers a path; undefined: there is nothing there. */
export type Route = (query: URLSearchParams, body: string) => Served | Promise<Served>

/** Paths by method and name, such as `GET /metrics`. */
export type Routes = Readonly<Record<string, Route>>

/** Those who are told when something changes. */
export class Listeners {
  readonly #open = new Set<ServerResponse>()

  /** How many there are. */
  get size(): number {
    return this.#open.size
  }

  /**
   * Adds one.
   *
   * @param response Kept open as a stream of events.
   */
  add(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write('retry: 2000\n\n')
    this.#open.add(response)
    response.on('close', () => this.#open.delete(response))
  }

  /** Tells everybody. */
  changed(): void {
    for (const response of this.#open) {
      // One who does not read is let go: he asks again when he does.
      if (response.writableNeedDrain) response.destroy()
      else response.write('event: change\ndata: {}\n\n')
    }
  }

  /** Ends every stream. */
  close(): void {
    for (const response of this.#open) response.end()
  }
}

/** Most bodies are empty; orders are short. */
const MAX_BODY_BYTES = 16_384
/** Streams of events at a time: a forgotten dashboard must not fill the memory. */
const MOST_LISTENERS = 100

/** Something that serves. */
export interface Serving {
  close(): Promise<void>
  /** Reads the certificate files again. */
  reload(): void
}

/**
 * Serves HTTP, with TLS where certificates are configured.
 *
 * @param settings Where.
 * @param routes What.
 * @param listeners Those who asked for `/events`.
 * @returns The server; it listens.
 * @throws {Error} The address is taken, or a file cannot be read.
 */
export async function serveHttp(settings: HttpSettings, routes: Routes, listeners: Listeners): Promise<Serving> {
  const handle = handlerOf(routes, listeners)
  const { tls, address } = settings
  if (tls === undefined) return listening(createServer(handle), { ...address }, () => undefined)
  const files = () => ({
    cert: readFileSync(tls.certFile),
    key: readFileSync(tls.keyFile),
    ca: readFileSync(tls.clientCaFile),
  })
  const server = createTlsServer(
    { ...files(), requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    handle,
  )
  return listening(server, { ...address }, () => server.setSecureContext(files()))
}

/**
 * Serves a Unix socket.
 *
 * @param path Where; what stands there is replaced.
 * @param options `mode`: permissions; `gid`: its group, where we may give it.
 * @param routes What.
 * @returns The server; it listens.
 * @throws {Error} The folder cannot be made, or the socket not bound.
 */
export async function serveSocket(
  path: string,
  options: { readonly mode: number; readonly gid?: number | undefined },
  routes: Routes,
): Promise<Serving> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  rmSync(path, { force: true })
  const server = createServer(handlerOf(routes))
  // Nobody gets in between bind and chmod.
  const umask = process.umask(0o177)
  try {
    const serving = await listening(server, { path }, () => undefined)
    if (options.gid !== undefined) chownSync(path, -1, options.gid)
    chmodSync(path, options.mode)
    return serving
  } finally {
    process.umask(umask)
  }
}

function handlerOf(routes: Routes, listeners?: Listeners): RequestListener {
  return (request, response) => {
    answer(request, response, routes, listeners).catch(() => {
      if (response.headersSent) response.destroy()
      else send(response, { status: 500, type: 'text/plain', body: 'a fault of towerkeep itself\n' })
    })
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Routes,
  listeners: Listeners | undefined,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://towerkeep')
  const key = `${request.method === 'HEAD' ? 'GET' : (request.method ?? '')} ${url.pathname}`
  if (listeners !== undefined && key === 'GET /events') {
    if (listeners.size < MOST_LISTENERS) listeners.add(response)
    else send(response, { status: 503, type: 'text/plain', body: 'too many listeners\n' })
    return
  }
  const route = Object.hasOwn(routes, key) ? routes[key] : undefined
  if (route === undefined) {
    send(response, { status: 404, type: 'text/plain', body: 'nothing is here\n' })
    return
  }
  const body = await bodyOf(request)
  const served =
    body === undefined ? { status: 413, type: 'text/plain', body: 'too long\n' } : await route(url.searchParams, body)
  const etag = served.headers?.['etag']
  if (etag !== undefined && request.headers['if-none-match'] === etag)
    send(response, { ...served, status: 304, body: '' })
  else send(response, served)
}

function send(response: ServerResponse, { status, type, body, headers = {} }: Served): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function listening(
  server: Server | ReturnType<typeof createTlsServer>,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
  reload: () => void,
): Promise<Serving> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    reload,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
