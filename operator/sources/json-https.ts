/**
 * JSON over HTTPS to a certificate authority: one request, one answer, every failure explained.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { connectWithCare } from '@tower-of-omens/keylime/https'
import { pkiError } from '../pki/pki-error.ts'

/** Where a service is and how it is spoken to. */
export interface HttpsPlace {
  /** What messages call it, such as `openbao`. */
  readonly name: string
  /** Such as `https://openbao.example.org:8200`. */
  readonly address: string
  /** PEM of the CA certificates it is trusted by. */
  readonly caFile: string
  /** Our certificate and key, where it wants one. */
  readonly client?: { readonly certFile: string; readonly keyFile: string } | undefined
  /** Limit of one request, milliseconds. */
  readonly timeoutMs: number
}

/** One request. */
export interface JsonRequest {
  readonly method: 'GET' | 'POST'
  /** Begins with a slash. */
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

/** One answer, whatever its status; `body` is undefined when it is no JSON. */
export interface JsonAnswer {
  readonly status: number
  readonly body: unknown
}

/** Longer answers are no certificate. */
const MAX_BYTES = 1024 * 1024

/**
 * Sends a request.
 *
 * @param place The service.
 * @param wish The request.
 * @returns Its answer.
 * @throws {OperatorError} `TK-PKI-AWAY`: it cannot be reached, TLS fails, or it does not answer in time.
 */
export async function askJson(place: HttpsPlace, wish: JsonRequest): Promise<JsonAnswer> {
  const tls = material(place)
  const body = wish.body === undefined ? undefined : JSON.stringify(wish.body)
  const limit = AbortSignal.timeout(place.timeoutMs)
  const signal = wish.signal === undefined ? limit : AbortSignal.any([limit, wish.signal])
  try {
    return await send(new URL(wish.path, place.address), { ...wish, tls, signal, text: body })
  } catch (cause) {
    throw pkiError('TK-PKI-AWAY', `${place.name} ${place.address}: ${wordsOf(cause, place, limit.aborted)}`, cause)
  }
}

interface Sending extends JsonRequest {
  readonly tls: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
  readonly text: string | undefined
  readonly signal: AbortSignal
}

function send(url: URL, { method, headers, tls, text, signal }: Sending): Promise<JsonAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<JsonAnswer>()
  const options = {
    method,
    headers: {
      accept: 'application/json',
      ...(text !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    // In the place of an agent: one connection for this request.
    createConnection: () => dial(url, tls),
    signal,
  }
  const sent = request(url, options, (answer) => {
    readBody(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject)
  })
  sent.on('error', reject)
  sent.end(text)
  return promise
}

function dial({ hostname, port }: URL, tls: Sending['tls']): TLSSocket {
  const host = hostname.replace(/^\[|\]$/g, '')
  const servername = isIP(host) === 0 ? host : ''
  const to = { host, port: port === '' ? 443 : Number(port), servername, ALPNProtocols: ['http/1.1'] }
  return connectWithCare({ ...to, ...tls, allowPartialTrustChain: true }, host)
}

async function readBody(answer: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let size = 0
  // Without an encoding every part is a Buffer.
  const chunks: AsyncIterable<Buffer> = answer
  for await (const bytes of chunks) {
    size += bytes.length
    if (size > MAX_BYTES) throw new Error('the answer is longer than 1 MiB')
    parts.push(bytes)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

function material({ name, caFile, client }: HttpsPlace): Sending['tls'] {
  const read = (what: string, file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (cause) {
      const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
      throw pkiError('TK-PKI-AWAY', `${name}: ${what} ${file} cannot be read (${why})`, cause)
    }
  }
  return {
    ca: read('CA file', caFile),
    ...(client !== undefined && {
      cert: read('client certificate', client.certFile),
      key: read('client key', client.keyFile),
    }),
  }
}

const TLS_WORDS: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from no CA of',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from no CA of',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from no CA of',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate comes from no CA of',
}

function wordsOf(cause: unknown, { caFile, timeoutMs }: HttpsPlace, late: boolean): string {
  if (late) return `did not answer within ${timeoutMs} ms`
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (TLS_WORDS[code] !== undefined) return `${TLS_WORDS[code]} ${caFile}`
  if (code === 'ECONNREFUSED') return 'nobody listens there'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the name cannot be looked up'
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired'
  return cause instanceof Error ? cause.message : String(cause)
}
