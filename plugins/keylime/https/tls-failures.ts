/**
 * TLS failures in the words of an operator: which side refused what, and what is missing where.
 *
 * @module
 */
import type { KeylimeError } from '../basis/errors.ts'
import { newFailure } from '../basis/failures.ts'
import type { TlsMaterial } from '../tls-files/tls-files.ts'
import { clientInWords, type Peer, peerInWords } from './peer.ts'
import { type Explanation, explainPeer, type TlsContext } from './peer-failures.ts'

/** The ways in which TLS refuses our certificate. */
export type ClientRefusal =
  | 'client-issuer'
  | 'client-missing'
  | 'client-expired'
  | 'client-usage'
  | 'client-certificate'

/**
 * Explains the failure of a TLS connection.
 *
 * @param error The error of the socket.
 * @param context The connection.
 * @returns The failure, or undefined when the error is not one of TLS.
 */
export function explainTlsFailure(error: Error, context: TlsContext): KeylimeError | undefined {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const found = explainAlert(code, context) ?? explainProtocol(code, context) ?? explainPeer(code, error, context)
  if (found === undefined) return undefined
  return newFailure(found.reason, `${peerInWords(context.peer)} ${found.text}`, {
    cause: error,
    facts: { tls_error: code },
  })
}

// RFC 8446 section 6.2, as OpenSSL ends its reason codes; the part before differs with its version.
const CERTIFICATE_ALERTS: Readonly<Record<string, ClientRefusal>> = {
  UNKNOWN_CA: 'client-issuer',
  CERTIFICATE_REQUIRED: 'client-missing',
  NO_CERTIFICATE: 'client-missing',
  CERTIFICATE_EXPIRED: 'client-expired',
  UNSUPPORTED_CERTIFICATE: 'client-usage',
  BAD_CERTIFICATE: 'client-certificate',
  CERTIFICATE_REVOKED: 'client-certificate',
  CERTIFICATE_UNKNOWN: 'client-certificate',
  ACCESS_DENIED: 'client-certificate',
  DECRYPT_ERROR: 'client-certificate',
}

// OpenSSL leaves out "alert" in the codes of the alerts that came with TLS extensions.
const ALERT_CODE = /^ERR_SSL_(?:.*ALERT_|TLSV1_)([A-Z_]+)$/

function explainAlert(code: string, { peer, material }: TlsContext): Explanation | undefined {
  const alert = ALERT_CODE.exec(code)?.[1]
  if (alert === undefined) return undefined
  const said = `(TLS alert "${alert.toLowerCase().replaceAll('_', ' ')}")`
  const reason = CERTIFICATE_ALERTS[alert]
  if (reason !== undefined) return { reason, text: `${refusalInWords(reason, material)} ${said}` }
  if (alert === 'PROTOCOL_VERSION') {
    return { reason: 'tls-version', text: `speaks neither TLS 1.2 nor TLS 1.3, older versions are not used ${said}` }
  }
  if (alert === 'UNRECOGNIZED_NAME') {
    return {
      reason: 'peer-name',
      text: `serves nothing under the name ${peer.expectedName} ${said}; ${nameHint(peer)}`,
    }
  }
  if (alert === 'HANDSHAKE_FAILURE' && material.client === undefined) {
    return {
      reason: 'client-missing',
      text: `refused the handshake ${said}: it demands a client certificate, and none is configured`,
    }
  }
  return {
    reason: 'tls-other',
    text: `ended the TLS handshake ${said}; look at its log for the reason; sent: ${clientInWords(material.client)}`,
  }
}

/**
 * Says that the other side refused our certificate, and what that side needs.
 *
 * @param reason How it refused.
 * @param material What was sent.
 * @returns The sentence after the service's name.
 */
export function refusalInWords(reason: ClientRefusal, material: TlsMaterial): string {
  const { client } = material
  if (client === undefined || reason === 'client-missing') {
    const sent = client === undefined ? 'none is configured' : `it did not take ${clientInWords(client)}`
    return `demands a client certificate, and ${sent}`
  }
  const sent = `sent was ${clientInWords(client)}`
  if (reason === 'client-issuer') {
    return `closed the connection after our certificate: it does not trust its issuer; ${sent}; add ${client.issuer} to the client CAs it trusts, or configure a certificate from a CA it trusts`
  }
  if (reason === 'client-expired')
    return `says that our certificate has expired; ${sent}; renew it and compare the clocks`
  if (reason === 'client-usage') {
    return `refuses our certificate for client use (its extended key usage must include clientAuth, or its key or signature kind is not accepted); ${sent}`
  }
  return `closed the connection after our certificate: it does not accept it; ${sent}; its issuer may be missing among the client CAs it trusts`
}

function explainProtocol(code: string, { peer }: TlsContext): Explanation | undefined {
  switch (code) {
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'ERR_SSL_HTTP_REQUEST':
    case 'ERR_SSL_RECORD_LAYER_FAILURE':
    case 'ERR_SSL_UNEXPECTED_MESSAGE':
    case 'EPROTO':
      return {
        reason: 'tls-not-spoken',
        text: `does not speak TLS on port ${peer.port}: it answers in another protocol, such as plain HTTP; ${portHint(peer)}`,
      }
    case 'ERR_SSL_UNSUPPORTED_PROTOCOL':
    case 'ERR_SSL_NO_PROTOCOLS_AVAILABLE':
    case 'ERR_SSL_VERSION_TOO_LOW':
      return { reason: 'tls-version', text: 'speaks neither TLS 1.2 nor TLS 1.3, older versions are not used' }
    default:
      if (!/^ERR_O?SSL_/.test(code)) return undefined
      return { reason: 'tls-other', text: `cannot be spoken TLS with (${code}); look at its log for the reason` }
  }
}

/**
 * Says what to check when a port does not speak the protocol expected.
 *
 * @param peer The service.
 * @returns A phrase.
 */
export function portHint(peer: Peer): string {
  const port = peer.settings.port ?? 'the port'
  if (peer.settings.useTls !== undefined)
    return `check ${port}, or set ${peer.settings.useTls} = false if it really serves plain HTTP`
  return `check ${port}: a registrar serves plain HTTP on 8890 and TLS on 8891`
}

function nameHint(peer: Peer): string {
  return `set ${peer.settings.serverName ?? 'the expected server name'} to the name it is known by`
}
