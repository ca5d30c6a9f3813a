/**
 * Failures below HTTP in the words of an operator: refused, reset, unknown host, no route, too late.
 *
 * @module
 */

import type { KeylimeError } from '../basis/errors.ts'
import { type FailureReason, newFailure } from '../basis/failures.ts'
import type { TlsMaterial } from '../tls-files/tls-files.ts'
import type { Connection, ConnectionPhase } from './connection.ts'
import { explainHttp } from './http-failures.ts'
import { clientInWords, type Peer, peerInWords } from './peer.ts'
import { explainTlsFailure, portHint } from './tls-failures.ts'

/** Facts about a connection that failed. */
export interface FailureContext {
  readonly peer: Peer
  readonly material?: TlsMaterial | undefined
  readonly connection?: Connection | undefined
  readonly timeoutMs: number
  /** Whether the answer had begun. */
  readonly answered?: boolean
}

/**
 * Explains why a connection could not be opened, or broke.
 *
 * @param error The error of the socket or of undici.
 * @param context The connection and its peer.
 * @returns The failure.
 */
export function explainConnectFailure(error: Error, context: FailureContext): KeylimeError {
  const { peer, material, connection } = context
  const judged = connection?.judged === true && connection.phase !== 'open'
  const seen = { peer, presented: connection?.presented ?? [], judged, now: Date.now() }
  const tls = material === undefined ? undefined : explainTlsFailure(error, { ...seen, material })
  if (tls !== undefined) return tls
  const [reason, text] = explainNetwork(errorCode(error), error, context)
  return newFailure(reason, `${peerInWords(peer)} ${text}`, {
    // A parser error carries what the service sent, which may hold a secret.
    cause: error.name === 'HTTPParserError' ? new Error(error.message) : error,
    facts: { network_error: errorCode(error), ...(reason === 'timeout' && { connected: false }) },
  })
}

function explainNetwork(code: string, error: Error, context: FailureContext): readonly [FailureReason, string] {
  const { peer, connection } = context
  const host = peer.settings.host ?? 'the host'
  switch (code) {
    case 'ECONNREFUSED':
      return [
        'refused',
        `refused the connection: nothing listens there; is the service running, and on this port?${triedInWords(error)}`,
      ]
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_FAIL':
    case 'EAI_NODATA':
      return [
        'dns',
        `cannot be found: host name ${peer.host} does not resolve (${code}); check ${host} and the resolver of this machine`,
      ]
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EHOSTDOWN':
      return [
        'no-route',
        `cannot be reached: the network has no way there (${code}); check address, route and firewall`,
      ]
    case 'ETIMEDOUT':
    case 'CONNECT_TIMEOUT':
      return [
        'timeout',
        `did not answer within ${waited(context, code)} ms: ${phaseInWords(peer, connection?.phase)}${triedInWords(error)}`,
      ]
    default:
      return explainHttp(code, error, peer) ?? explainCut(code, error, context)
  }
}

// The kernel and Node.js give up by clocks of their own.
function waited({ connection, timeoutMs }: FailureContext, code: string): number {
  if (code === 'CONNECT_TIMEOUT' || connection === undefined) return timeoutMs
  return Math.round(performance.now() - connection.began)
}

function explainCut(code: string, error: Error, context: FailureContext): readonly [FailureReason, string] {
  const { peer, connection, material, answered } = context
  // The names undici gives to a plain close would say nothing to an operator.
  const detail = code === '' || code.startsWith('UND_ERR') ? '' : ` (${code})`
  if (connection?.phase === 'handshake' && connection.presented.length > 0 && material !== undefined) {
    // Without an alert nobody knows: what comes next in a handshake is the judgement of our certificate.
    return [
      material.client === undefined ? 'client-missing' : 'client-certificate',
      `closed the connection without a word when it had shown its certificate${detail}: ${silentRefusal(material)}, or it ended just then; its log says which`,
    ]
  }
  if (connection?.phase === 'handshake') {
    const unheard = connection.socket.bytesRead === 0
    const size = unheard
      ? ', and a firewall that takes no first message of more than one packet (one that fits was tried too)'
      : ''
    return [
      'reset',
      `closed the connection during the TLS handshake without saying why${detail}; a proxy without a living backend does this, and a port that does not speak TLS${size}`,
    ]
  }
  if (connection?.phase === 'open' && connection.socket.bytesRead === 0 && !peer.tls) {
    return [
      'reset',
      `closed the connection without an answer${detail}; a port that speaks TLS does this to plain HTTP: ${useTlsHint(peer)}`,
    ]
  }
  if (answered === true)
    return ['reset', `closed the connection in the middle of its answer${detail}; look at its log, a restart does this`]
  const known = /^(ECONN|EPIPE|UND_ERR|ERR_STREAM|ERR_SSL)/.test(code) || error.message === 'closed'
  return [
    'reset',
    `closed the connection before an answer came${detail}${known ? '' : `: ${error.name}`}; look at its log, a restart does this`,
  ]
}

function silentRefusal({ client }: TlsMaterial): string {
  if (client === undefined) return 'it may demand a client certificate, and none is configured'
  return `it may not accept ours; sent was ${clientInWords(client)}, whose issuer may be missing among the client CAs it trusts`
}

function useTlsHint(peer: Peer): string {
  const key = peer.settings.useTls
  return key === undefined ? 'it may be a TLS port' : `if it is a TLS port, set ${key} = true`
}

/**
 * Says what a request that came too late was waiting for.
 *
 * @param peer The service.
 * @param phase How far its connection came, or undefined when it had none.
 * @returns A phrase.
 */
export function phaseInWords(peer: Peer, phase: ConnectionPhase | undefined): string {
  if (phase === undefined) return 'no connection was free, and no other request was answered'
  if (phase === 'open') return 'the request was sent'
  if (phase === 'resolving') {
    return `the name ${peer.host} was not resolved yet; a name server that does not answer does this: look at /etc/resolv.conf, or name an address`
  }
  if (phase === 'connecting') return 'the TCP connection was not open yet; a firewall that drops packets does this'
  return (
    'TCP was open, the TLS handshake was not done; a path that loses full-sized packets does this (our first message ' +
    `takes two of them, in every second try one; look at the MTU), and a port that serves plain HTTP: ${portHint(peer)}`
  )
}

function triedInWords(error: Error): string {
  if (!(error instanceof AggregateError)) return ''
  const tried = error.errors.map((one: unknown) =>
    one instanceof Error && 'address' in one ? `${String(one.address)} ${errorCode(one)}` : '',
  )
  return ` (tried ${tried.filter((one) => one !== '').join(', ')})`
}

/**
 * Takes the code out of an error.
 *
 * @param error Anything thrown.
 * @returns Such as `ECONNREFUSED`, or `''`.
 */
export function errorCode(error: unknown): string {
  if (error instanceof Error && error.name === 'ConnectTimeout') return 'CONNECT_TIMEOUT'
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
