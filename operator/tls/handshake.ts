/**
 * One TLS handshake, to see what a service presents and whether it takes us.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { describeNoPeer, presentedBy } from '@tower-of-omens/keylime/https'

/** Whom to dial, and what to show. */
export interface HandshakeWish {
  readonly host: string
  readonly port: number
  /** Name to ask for (SNI); an address is not sent. */
  readonly serverName?: string | undefined
  /** Our pair, PEM. */
  readonly client?: { readonly cert: string; readonly key: string } | undefined
  readonly timeoutMs: number
}

/** What was seen. */
export interface HandshakeSeen {
  /** Leaf first, as sent. */
  readonly presented: readonly X509Certificate[]
  /** `TLSv1.3` and the like; empty when the handshake did not end. */
  readonly protocol: string
  /** Why the connection broke, such as a TLS alert that refuses our certificate; undefined: it stood. */
  readonly failure?: string
  /** Whether the failure came before TLS: nobody listens, no route. */
  readonly isAway: boolean
}

/** How long a server that speaks TLS 1.3 may take to refuse our certificate: it does so after our side is done. */
const REFUSAL_MS = 300

/**
 * Shakes hands. What is presented is not judged here: see `trustGap`.
 *
 * @param wish Whom to dial.
 * @returns What was seen; never rejects.
 */
export function handshake(wish: HandshakeWish): Promise<HandshakeSeen> {
  const { promise, resolve } = Promise.withResolvers<HandshakeSeen>()
  const options: ConnectionOptions = {
    host: wish.host,
    port: wish.port,
    servername: sniOf(wish),
    ...(wish.client !== undefined && wish.client),
    // The chain is read and judged by the caller; nothing is sent over this connection.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  }
  const socket = connect(options)
  describeNoPeer(socket)
  let presented: readonly X509Certificate[] = []
  let secured = false
  const end = (failure?: string, away = false): void => {
    clearTimeout(timer)
    const protocol = secured ? (socket.getProtocol() ?? '') : ''
    socket.destroy()
    resolve({ presented, protocol, isAway: away, ...(failure !== undefined && { failure }) })
  }
  const timer = setTimeout(() => end(`no handshake within ${wish.timeoutMs} ms`, !secured), wish.timeoutMs)
  socket.once('secureConnect', () => {
    secured = true
    presented = presentedBy(socket)
    setTimeout(() => end(), REFUSAL_MS).unref()
  })
  socket.on('error', (error) => end(alertWords(error), isAway(error)))
  socket.once('close', () =>
    end(secured ? 'closed the connection after the handshake' : 'closed the connection in mid handshake'),
  )
  return promise
}

function sniOf({ host, serverName = host }: HandshakeWish): string {
  return isIP(serverName) === 0 ? serverName : ''
}

const AWAY = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'])

function isAway(error: Error): boolean {
  return 'code' in error && AWAY.has(String(error.code))
}

function alertWords(error: Error): string {
  const alert = /alert ([a-z ]+?)(?:$|:)/.exec(error.message)?.[1]
  if (alert !== undefined) return `TLS alert "${alert.trim()}"`
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ECONNREFUSED') return 'nobody listens there'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the name cannot be looked up'
  if (code === 'ECONNRESET') return 'closed the connection'
  return code === '' ? error.message : code
}
