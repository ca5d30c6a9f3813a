// Small servers and origins for the tests of this folder; everything they open they close.

import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer, type ServerOptions } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { KeylimeError } from '../../../plugins/keylime/basis/errors.ts'
import { HttpsOrigin, type HttpsOriginOptions } from '../../../plugins/keylime/https/http.ts'
import type { TlsFiles } from '../../../plugins/keylime/tls-files/file-names.ts'
import { loadTlsFiles, type TlsMaterial } from '../../../plugins/keylime/tls-files/tls-files.ts'
import { fixedTls } from '../../../plugins/keylime/tls-files/tls-watch.ts'

/** A running server. */
export interface TestServer extends AsyncDisposable {
  readonly port: number
  readonly sockets: ReadonlySet<Socket>
  readonly accepted: () => number
}

/** Answers every request with an empty JSON object. */
export const answerEmpty: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end('{}')
}

/** Starts an HTTPS server. */
export function startHttps(
  options: ServerOptions,
  listener: RequestListener = answerEmpty,
  onSecure: (socket: TLSSocket) => void = () => undefined,
): Promise<TestServer> {
  const server = createHttpsServer({ keepAliveTimeout: 60_000, ...options }, listener)
  server.on('secureConnection', onSecure)
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return listen(server)
}

/** Starts a plain HTTP server. */
export function startHttp(listener: RequestListener = answerEmpty): Promise<TestServer> {
  return listen(createHttpServer(listener))
}

/** Starts a server that speaks no protocol but the listener's. */
export function startTcp(listener: (socket: Socket) => void): Promise<TestServer> {
  return listen(
    createTcpServer((socket) => {
      socket.on('error', () => undefined)
      listener(socket)
    }),
  )
}

async function listen(server: Server): Promise<TestServer> {
  const sockets = new Set<Socket>()
  let accepted = 0
  server.on('connection', (socket: Socket) => {
    accepted += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    accepted: () => accepted,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Finds a port on which nothing listens. */
export async function freePort(): Promise<number> {
  await using server = await startTcp(() => undefined)
  return server.port
}

/** Loads TLS files that must be right. */
export function materialOf(files: TlsFiles): TlsMaterial {
  const { material, problems } = loadTlsFiles(files)
  if (material === undefined) throw new Error(problems.join('; '))
  return material
}

/** Makes an origin of the verifier's kind that closes itself. */
export function originFor(
  port: number,
  options: Partial<HttpsOriginOptions> & { readonly files?: TlsFiles } = {},
): HttpsOrigin & AsyncDisposable {
  const { files, ...rest } = options
  const origin = new HttpsOrigin({
    role: 'keylime verifier',
    host: '127.0.0.1',
    port,
    timeoutMs: 5_000,
    settings: {
      host: 'keylime_verifier_host',
      port: 'keylime_verifier_port',
      serverName: 'keylime_verifier_server_name',
    },
    ...(files !== undefined && { tls: fixedTls(materialOf(files)) }),
    ...rest,
  })
  return Object.assign(origin, { [Symbol.asyncDispose]: () => origin.close() })
}

/** Waits for a failure and gives what an operator and the code see of it. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ code: string; reason: unknown; message: string; error: KeylimeError }> {
  try {
    await promise
  } catch (error) {
    if (!(error instanceof KeylimeError)) throw error
    return { code: error.code, reason: error.facts['reason'], message: error.message, error }
  }
  throw new Error('expected a failure')
}
