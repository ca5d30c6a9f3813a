/**
 * TPM algorithm numbers, and the hashes among them.
 *
 * @see TCG Algorithm Registry, TPM_ALG_ID
 * @module
 */
import { hash } from 'node:crypto'
import type { ByteReader } from './byte-reader.ts'
import { TpmError } from './tpm-error.ts'

/** A TPM hash algorithm as Keylime spells it. */
export type HashAlg = 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'sm3_256'

/** The TPM_ALG_ID numbers this room reads. */
export const ALG = {
  rsa: 0x0001,
  tdes: 0x0003,
  aes: 0x0006,
  mgf1: 0x0007,
  null: 0x0010,
  sm4: 0x0013,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  oaep: 0x0017,
  ecdsa: 0x0018,
  ecdh: 0x0019,
  ecdaa: 0x001a,
  sm2: 0x001b,
  ecschnorr: 0x001c,
  ecmqv: 0x001d,
  kdf1Sp80056a: 0x0020,
  kdf2: 0x0021,
  kdf1Sp800108: 0x0022,
  ecc: 0x0023,
  camellia: 0x0026,
} as const

interface HashFacts {
  readonly id: number
  readonly bytes: number
  readonly openssl: string
}

const HASHES: Readonly<Record<HashAlg, HashFacts>> = {
  sha1: { id: 0x0004, bytes: 20, openssl: 'sha1' },
  sha256: { id: 0x000b, bytes: 32, openssl: 'sha256' },
  sha384: { id: 0x000c, bytes: 48, openssl: 'sha384' },
  sha512: { id: 0x000d, bytes: 64, openssl: 'sha512' },
  sm3_256: { id: 0x0012, bytes: 32, openssl: 'sm3' },
}

const BY_ID: ReadonlyMap<number, HashAlg> = new Map([
  [HASHES.sha1.id, 'sha1'],
  [HASHES.sha256.id, 'sha256'],
  [HASHES.sha384.id, 'sha384'],
  [HASHES.sha512.id, 'sha512'],
  [HASHES.sm3_256.id, 'sm3_256'],
])

/** The size of the largest digest a TPM makes. */
export const MAX_DIGEST_BYTES = 64

/**
 * Tells whether a text names a TPM hash algorithm.
 *
 * @param text Any text, as Keylime spells them: `sha256`.
 * @returns True for a name of {@link HashAlg}.
 */
export function isHashAlg(text: string): text is HashAlg {
  return Object.hasOwn(HASHES, text)
}

/** Gives the TPM_ALG_ID of a hash. @param hashAlg The hash. @returns A u16. */
export function hashId(hashAlg: HashAlg): number {
  return HASHES[hashAlg].id
}

/** Gives a hash's digest size. @param hashAlg The hash. @returns Bytes. */
export function digestBytes(hashAlg: HashAlg): number {
  return HASHES[hashAlg].bytes
}

/** Gives OpenSSL's name of a hash. @param hashAlg The hash. @returns A name for `node:crypto`. */
export function opensslHash(hashAlg: HashAlg): string {
  return HASHES[hashAlg].openssl
}

/**
 * Hashes chunks, one after the other.
 *
 * @param hashAlg The hash.
 * @param chunks Bytes, concatenated.
 * @returns The digest.
 * @throws {TpmError} `TPM_UNSUPPORTED`: this OpenSSL lacks the hash (SM3 in some builds).
 */
export function digest(hashAlg: HashAlg, ...chunks: readonly Uint8Array[]): Buffer {
  const [only] = chunks
  const bytes = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
  try {
    // In one call, which costs a third of a hash object.
    return hash(HASHES[hashAlg].openssl, bytes, 'buffer')
  } catch (cause) {
    throw new TpmError('TPM_UNSUPPORTED', `hash algorithm ${hashAlg} is not available in this OpenSSL`, cause)
  }
}

/**
 * Turns a TPM_ALG_ID, just read, into a hash name.
 *
 * @param reader The reader, for the message.
 * @param id The number read.
 * @param field The field's name, for the message.
 * @returns The hash.
 * @throws {TpmError} `TPM_UNSUPPORTED`: not a hash read here.
 */
export function requireHash(reader: ByteReader, id: number, field: string): HashAlg {
  const hashAlg = BY_ID.get(id)
  if (hashAlg === undefined) throw reader.unsupported(field, 'a hash algorithm', id)
  return hashAlg
}
