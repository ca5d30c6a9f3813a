/**
 * A server's certificates, read without making any of their keys into an object: what stands in them is a stranger's,
 * and before a chain has verified nobody vouches for its size, its curves or its order.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type * as tls from 'node:tls'
import { domainToASCII } from 'node:url'

/** Bounds the chain kept for messages; OpenSSL takes 100 KiB of certificates. */
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
  if (isIP(expectedName) !== 0) return leaf.checkIP(expectedName.replace(/%.*$/, '')) !== undefined
  const bare = expectedName.replace(/\.$/, '')
  const name = domainToASCII(bare) || bare
  // A name that begins with a dot would stand for every name below it.
  return !name.startsWith('.') && leaf.checkHost(name, { subject: 'default' }) !== undefined
}
