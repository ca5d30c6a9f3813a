/**
 * Private keys that are made on this host and stay on it.
 *
 * @module
 */
import { generateKeyPair, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { element, oid, sequence } from './der.ts'

/** Kind of a key. */
export type KeyType = 'ec' | 'rsa'

/** What signs a request or a certificate: a key here, or one in a TPM. */
export interface Signer {
  /** DER of its SubjectPublicKeyInfo. */
  readonly publicKey: Buffer
  /** DER of its AlgorithmIdentifier. */
  readonly algorithm: Buffer
  /** @param bytes What is to be signed, not hashed. */
  sign(bytes: Buffer): Promise<Buffer>
}

/** AlgorithmIdentifier of ECDSA with SHA-256. */
export const ECDSA_SHA256: Buffer = sequence(oid('1.2.840.10045.4.3.2'))
/** AlgorithmIdentifier of RSASSA-PKCS1-v1_5 with SHA-256. */
export const RSA_SHA256: Buffer = sequence(oid('1.2.840.113549.1.1.11'), element(0x05))

const generate = promisify(generateKeyPair)

/**
 * Makes a private key.
 *
 * @param type `ec`: P-256; `rsa`: 2048 bits.
 * @returns The key.
 */
export async function newKey(type: KeyType): Promise<KeyObject> {
  const { privateKey } =
    type === 'ec' ? await generate('ec', { namedCurve: 'P-256' }) : await generate('rsa', { modulusLength: 2048 })
  return privateKey
}

/**
 * Writes a private key.
 *
 * @param key The key.
 * @returns PKCS#8 PEM, which Rust, Python and Go all read.
 */
export function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' })
}

/**
 * Makes a signer of a private key.
 *
 * @param key P-256 or RSA.
 * @param publicKey Its public half.
 * @returns The signer.
 */
export function signerOf(key: KeyObject, publicKey: KeyObject): Signer {
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    algorithm: key.asymmetricKeyType === 'rsa' ? RSA_SHA256 : ECDSA_SHA256,
    sign: (bytes) => Promise.resolve(sign('sha256', bytes, key)),
  }
}
