/**
 * A server's certificates, read without making any of their keys into an object: what stands in them is a stranger's,
 * and before a chain has verified nobody vouches for its size, its curves or its order.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import * as tls from 'node:tls'

/** Bound on the chain kept for messages; OpenSSL takes 100 KiB of certificates. */
const MAX_PRESENTED = 10

/**
 * Keeps the TLS library from describing the server's certificates in its old form, key by key and issuer by issuer.
 * Names are checked with {@link whyNotNamed}, and {@link presentedBy} reads the rest.
 *
 * @param socket A socket that has not connected yet.
 */
export function describeNoPeer(socket: tls.TLSSocket): void {
  Object.defineProperty(socket, 'getPeerCertificate', { value: () => ({}) })
}

/**
 * Reads the certificates that a server sent, in its order.
 *
 * @param socket A socket in or after the handshake. Asked once for each connection: some versions of Node.js hand the
 *   chain over, and have none the second time.
 * @returns Leaf first, at most ten; empty when nothing was sent.
 */
export function presentedBy(socket: tls.TLSSocket): readonly X509Certificate[] {
  const presented: X509Certificate[] = []
  let next = socket.getPeerX509Certificate()
  while (next !== undefined && presented.length < MAX_PRESENTED) {
    presented.push(next)
    next = next.issuerCertificate
  }
  return presented
}

/**
 * Checks the name in a server's certificate.
 *
 * @param leaf The server's certificate; undefined when it sent none.
 * @param expectedName Host name or address.
 * @returns Undefined when the certificate is for that name; otherwise an error with the code of a wrong name.
 * @see RFC 9525
 */
export function whyNotNamed(leaf: X509Certificate | undefined, expectedName: string): Error | undefined {
  if (leaf !== undefined && isNamed(leaf, expectedName)) return undefined
  return Object.assign(new Error('the certificate is for another name'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
}

function isNamed(leaf: X509Certificate, expectedName: string): boolean {
  // A name that begins with a dot would stand for every name below it.
  if (expectedName.startsWith('.')) return false
  if (tls.checkServerIdentity(expectedName, alternativeNamesOf(leaf)) === undefined) return true
  // A certificate without alternative names counts by its common name.
  if (isIP(expectedName) !== 0) return false
  return leaf.checkHost(expectedName.replace(/\.$/, ''), { subject: 'default' }) !== undefined
}

/** Describes a certificate by its alternative names; its subject and its key are left out. */
function alternativeNamesOf(leaf: X509Certificate): tls.PeerCertificate {
  const { ca, raw, validFrom, validTo, serialNumber, fingerprint, fingerprint256, fingerprint512 } = leaf
  return {
    ca,
    raw,
    serialNumber,
    fingerprint,
    fingerprint256,
    fingerprint512,
    valid_from: validFrom,
    valid_to: validTo,
    subject: {},
    issuer: {},
    subjectaltname: leaf.subjectAltName ?? '',
  }
}

/**
 * Opens a TLS connection with the same care outside of a pool.
 *
 * @param options As for `tls.connect`; what is not verified is refused, whatever they and the environment say.
 * @param expectedName Host name or address that the certificate must be for.
 * @returns The socket, connecting.
 */
export function connectWithCare(options: tls.ConnectionOptions, expectedName: string): tls.TLSSocket {
  let leaf: X509Certificate | undefined
  const checkServerIdentity = (): Error | undefined => whyNotNamed(leaf, expectedName)
  const socket = tls.connect({ ...options, rejectUnauthorized: true, checkServerIdentity })
  describeNoPeer(socket)
  // Before Node's own listener, which checks the name.
  socket.prependOnceListener('secure', () => {
    leaf = presentedBy(socket)[0]
  })
  return socket
}
