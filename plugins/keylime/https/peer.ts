/**
 * Whom we call, in the words of messages: role, address, expected name, and the configuration keys that decide them.
 *
 * @module
 */

import { formatHostPort, type HostPort } from '../basis/host-port.ts'
import type { ClientCertificate } from '../tls-files/client-certificate.ts'

/** The configuration keys that messages point to. */
export interface PeerSettings {
  readonly host?: string
  readonly port?: string
  readonly serverName?: string
  readonly useTls?: string
  readonly timeout?: string
}

/** One service as a caller and an operator know it. */
export interface Peer extends HostPort {
  /** Such as `keylime verifier`; begins messages. */
  readonly role: string
  /** Whether TLS is spoken. */
  readonly tls: boolean
  /** Name that must stand in the certificate: the configured server name, or else the host. */
  readonly expectedName: string
  readonly settings: PeerSettings
}

/**
 * Begins a message about a service.
 *
 * @param peer The service.
 * @returns Such as `keylime verifier 127.0.0.1:8881`.
 */
export function peerInWords(peer: Peer): string {
  return `${peer.role} ${formatHostPort(peer)}`
}

/**
 * Says which client certificate was sent: the half of the truth that only we know.
 *
 * @param client The certificate, or undefined when none is configured.
 * @returns A phrase such as `our client certificate CN=x (issued by CN=y, expires 2026-02-12T03:00:00Z, file /a/b.crt)`.
 */
export function clientInWords(client: ClientCertificate | undefined): string {
  if (client === undefined) return 'no client certificate (none is configured)'
  const expires = client.notAfter.toISOString().replace(/\.\d{3}Z$/, 'Z')
  return `our client certificate ${client.subject} (issued by ${client.issuer}, expires ${expires}, file ${client.certFile})`
}
