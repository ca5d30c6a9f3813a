/**
 * The bell: Keylime's revocation webhook over mutual TLS. It only says where to look; the record decides.
 *
 * Verifier certificates are checked against the CA and by name. Each peer may ring 20 times a second; who rings more is
 * answered all the same, so that Keylime does not retry, and not listened to.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import { TLSSocket } from 'node:tls'
import type { AgentId, HostPort, Log } from '@tower-of-omens/keylime'
import { MAX_RING_BYTES, ringOf } from './ring.ts'

/** How the bell is set up. */
export interface BellOptions {
  readonly address: HostPort
  readonly certFile: string
  readonly keyFile: string
  readonly clientCaFile: string
  /** Common names, DNS names or URIs of the verifiers' client certificates. */
  readonly names: readonly string[]
}

/** What became of a ring; `idle`: it is about no host that has anything to lose. */
export type RingResult = 'taken' | 'idle' | 'refused' | 'malformed' | 'too_many'

/** What a ring may come to. */
export interface BellEars {
  /** Tells whether an agent is worth a look; asked before anything is spent on it. */
  readonly isWatched: (agentId: AgentId) => boolean
  /** Tells whether an agent is looked at already: a further ring costs nothing then. */
  readonly isLookedAt: (agentId: AgentId) => boolean
  /** Called for each ring that counts, after the verifier has its answer. */
  readonly rung: (agentId: AgentId) => void
  /** Called for each request. */
  readonly seen: (result: RingResult) => void
}

/** Rings a second from one peer. */
const RINGS_PER_SECOND = 20
/** Rings a peer may save up: as many hosts may fail at once. */
const BURST = 1_000
/** Longest time a request may take, headers and body. */
const REQUEST_MS = 5_000

/** A bell that hangs. */
export interface Bell {
  /** Where it listens. */
  readonly port: number
  /** Reads the certificate files again. */
  reload(): void
  close(): Promise<void>
}

/**
 * Hangs the bell.
 *
 * @param options Address, certificates, who may ring.
 * @param ears What a ring may come to.
 * @param log Told of who was refused.
 * @returns The bell.
 * @throws {Error} A file cannot be read, or the address is taken.
 */
export async function hangBell(options: BellOptions, ears: BellEars, log: Log): Promise<Bell> {
  const budget = new RingBudget()
  const server = createServer({ ...tlsFiles(options), ...TLS }, (request, response) => {
    take(request, options.names, budget, ears, log)
      .then((taken) => {
        answer(response, taken.result)
        ears.seen(taken.result)
        if (taken.agentId !== undefined) ears.rung(taken.agentId)
        return undefined
      })
      .catch(() => response.destroy())
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  server.on('tlsClientError', (error) =>
    log.debug('a caller of the bell was refused in the handshake', { error: error.message }),
  )
  await listen(server, options.address)
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.address.port,
    reload: () => server.setSecureContext(tlsFiles(options)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const TLS = {
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.2',
  requestTimeout: REQUEST_MS,
  headersTimeout: REQUEST_MS,
  keepAliveTimeout: REQUEST_MS,
  maxHeaderSize: 8_192,
} as const

function tlsFiles({ certFile, keyFile, clientCaFile }: BellOptions): { cert: Buffer; key: Buffer; ca: Buffer } {
  return { cert: readFileSync(certFile), key: readFileSync(keyFile), ca: readFileSync(clientCaFile) }
}

function listen(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

interface Taken {
  readonly result: RingResult
  readonly agentId?: AgentId
}

const STATUS: Readonly<Record<RingResult, number>> = {
  taken: 202,
  idle: 202,
  too_many: 202,
  refused: 403,
  malformed: 400,
}

function answer(response: ServerResponse, result: RingResult): void {
  response
    .writeHead(STATUS[result], { 'content-length': 0, ...(result === 'malformed' && { connection: 'close' }) })
    .end()
}

async function take(
  request: IncomingMessage,
  names: readonly string[],
  budget: RingBudget,
  ears: BellEars,
  log: Log,
): Promise<Taken> {
  const peer = request.socket instanceof TLSSocket ? request.socket.getPeerX509Certificate() : undefined
  if (peer === undefined || !isNamed(peer, names)) {
    log.warn('the bell was rung by somebody else', { subject: peer?.subject.replaceAll('\n', ', ') ?? 'none' })
    return { result: 'refused' }
  }
  if (request.method !== 'POST') return { result: 'malformed' }
  const body = await bodyOf(request)
  const agentId = body === undefined ? undefined : ringOf(body)
  if (agentId === undefined) return { result: 'malformed' }
  if (!ears.isWatched(agentId)) return { result: 'idle' }
  return ears.isLookedAt(agentId) || budget.allows(peer.fingerprint256)
    ? { result: 'taken', agentId }
    : { result: 'too_many' }
}

function isNamed(certificate: X509Certificate, names: readonly string[]): boolean {
  const commonName = /^CN=(.+)$/m.exec(certificate.subject)?.[1]
  const others = (certificate.subjectAltName ?? '')
    .split(', ')
    .map((name) => name.replace(/^(DNS|URI|IP Address):/, ''))
  return names.some((name) => name === commonName || others.includes(name))
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_RING_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Budget of rings by peer: a bucket that fills by the second. */
export class RingBudget {
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  /**
   * Takes one ring off a peer's budget.
   *
   * @param peer Fingerprint of its certificate.
   * @param now Milliseconds, by a clock that only goes forward.
   * @returns False when it has none left.
   */
  allows(peer: string, now: number = performance.now()): boolean {
    const bucket = this.#buckets.get(peer) ?? { tokens: BURST, at: now }
    bucket.tokens = Math.min(BURST, bucket.tokens + ((now - bucket.at) / 1000) * RINGS_PER_SECOND)
    bucket.at = now
    this.#buckets.set(peer, bucket)
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }
}
