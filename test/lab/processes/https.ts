/**
 * HTTPS to a real service: from here, or from inside a host's network through that host's portal.
 *
 * @module
 */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { request } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { RigError } from './errors.ts'
import { pollUntil } from './poll.ts'
import type { ProcessStarter } from './processes.ts'

/** One HTTPS request. */
export interface HttpsRequest {
  /** Unix socket of the portal of the host that asks; default: this one. */
  readonly portal?: string | undefined
  readonly host: string
  readonly port: number
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON when given. */
  readonly body?: unknown
  /** PEM anchors. */
  readonly ca: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Milliseconds; default 10,000. */
  readonly timeoutMs?: number
}

/** Status and body, parsed when it is JSON. */
export interface HttpsAnswer {
  readonly status: number
  readonly body: unknown
}

/**
 * Starts the portal of a host.
 *
 * @param path Unix socket to make.
 */
export async function openPortal(starter: ProcessStarter, path: string): Promise<void> {
  const args = [join(import.meta.dirname, 'portal.ts'), path]
  const door = starter.start({ name: 'portal', command: process.execPath, args })
  await pollUntil(`the portal ${path}`, () => existsSync(path), {
    intervalMs: 20,
    logFile: door.logFile,
    abort: () => door.requireRunning(),
  })
}

async function connectHere(host: string, port: number): Promise<Socket> {
  const socket = connectTcp({ host, port })
  await once(socket, 'connect')
  return socket
}

/**
 * Joins a socket to an address in a host's network.
 *
 * @param portal Unix socket of the host's portal.
 * @throws {RigError} The portal cannot reach it; the message ends with the system's error code.
 */
export function connectThrough(portal: string, host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(portal)
    const fail = (why: string): void => {
      socket.destroy()
      reject(new RigError(`${host}:${port} through ${portal}: ${why}`))
    }
    socket.once('error', (error) => fail(error.message))
    socket.once('close', () => fail('the portal closed'))
    socket.once('connect', () => socket.write(`${host} ${port}\n`))
    socket.once('data', (chunk: Buffer) => {
      const answer = chunk.toString('latin1')
      if (!answer.startsWith('ok\n')) return fail(answer.trim())
      socket.removeAllListeners('close')
      socket.removeAllListeners('error')
      socket.pause()
      if (chunk.length > 3) socket.unshift(chunk.subarray(3))
      resolve(socket)
    })
  })
}

/**
 * Sends one HTTPS request.
 *
 * @throws {Error} The connection, the handshake or the answer failed.
 */
export async function askHttps(options: HttpsRequest): Promise<HttpsAnswer> {
  const { portal, host, port } = options
  const raw = await (portal === undefined ? connectHere(host, port) : connectThrough(portal, host, port))
  const body = options.body === undefined ? undefined : JSON.stringify(options.body)
  const signal = AbortSignal.timeout(options.timeoutMs ?? 10_000)
  return new Promise((resolve, reject) => {
    const outgoing = request({
      method: options.method ?? 'GET',
      path: options.path,
      headers: {
        host: `${options.host}:${options.port}`,
        ...options.headers,
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      signal,
      createConnection: () =>
        connectTls({
          socket: raw,
          servername: /^[\d.]+$/.test(options.host) ? '' : options.host,
          host: options.host,
          ca: options.ca,
          cert: options.cert,
          key: options.key,
        }),
    })
    outgoing.on('error', reject)
    outgoing.on('response', (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        raw.destroy()
        resolve({ status: answer.statusCode ?? 0, body: parse(Buffer.concat(chunks).toString()) })
      })
    })
    outgoing.end(body)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
