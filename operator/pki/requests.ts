/**
 * Certificate requests (PKCS#10) and self-signed certificates.
 *
 * @see RFC 2986; RFC 5280
 * @module
 */
import { randomBytes } from 'node:crypto'
import { bitString, element, integer, oid, pemOf, sequence, setOf, time } from './der.ts'
import type { Signer } from './keys.ts'
import { altNames, type CertificateNames, extension, subject } from './names.ts'

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const BASIC_CONSTRAINTS = '2.5.29.19'
const KEY_USAGE = '2.5.29.15'
const EXTENDED_KEY_USAGE = '2.5.29.37'
const USES = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const

/**
 * Makes a certificate request.
 *
 * @param names Whose it is to be.
 * @param signer The key that is to be certified, which signs it.
 * @returns PEM.
 */
export async function newRequest(names: CertificateNames, signer: Signer): Promise<string> {
  const alternatives = altNames(names)
  const attributes = alternatives === undefined ? [] : [sequence(oid(EXTENSION_REQUEST), setOf(sequence(alternatives)))]
  const info = sequence(
    integer(Buffer.from([0])),
    subject(names.commonName),
    signer.publicKey,
    element(0xa0, ...attributes),
  )
  return pemOf('CERTIFICATE REQUEST', await signed(info, signer))
}

/** A certificate that is its own issuer. */
export interface SelfSigned extends CertificateNames {
  readonly use: 'server' | 'client'
  readonly notBefore: Date
  readonly notAfter: Date
}

/**
 * Makes a self-signed certificate: what one host's plugin shows to that host's Keylime agent, and nobody else trusts.
 *
 * @param wish Names, use, life.
 * @param signer Its key.
 * @returns PEM.
 */
export async function selfSigned(wish: SelfSigned, signer: Signer): Promise<string> {
  const name = subject(wish.commonName)
  const alternatives = altNames(wish)
  const extensions = [
    extension(BASIC_CONSTRAINTS, sequence(), true),
    // digitalSignature, the first bit.
    extension(KEY_USAGE, bitString(Buffer.from([0x80]), 7), true),
    extension(EXTENDED_KEY_USAGE, sequence(oid(USES[wish.use]))),
    ...(alternatives === undefined ? [] : [alternatives]),
  ]
  const certificate = sequence(
    element(0xa0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    signer.algorithm,
    name,
    sequence(time(wish.notBefore), time(wish.notAfter)),
    name,
    signer.publicKey,
    element(0xa3, sequence(...extensions)),
  )
  return pemOf('CERTIFICATE', await signed(certificate, signer))
}

async function signed(body: Buffer, signer: Signer): Promise<Buffer> {
  return sequence(body, signer.algorithm, bitString(await signer.sign(body)))
}
