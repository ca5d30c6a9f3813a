/**
 * TPMT_SIGNATURE: RSASSA and ECDSA, the two that Keylime accepts on a quote.
 *
 * @see TCG TPM 2.0 Library, Part 2, 11.3.4 (TPMT_SIGNATURE); keylime 9b1f6e6a, keylime/tpm/tpm_util.py
 * @module
 */
import { verify } from 'node:crypto'
import { ALG, type HashAlg, opensslHash, requireHash } from './algorithms.ts'
import { ByteReader } from './byte-reader.ts'
import type { Curve, TpmPublic } from './public.ts'

/** A parsed RSASSA-PKCS1-v1_5 signature. */
export interface RsassaSignature {
  readonly scheme: 'rsassa'
  readonly hashAlg: HashAlg
  readonly signature: Buffer
}

/** A parsed ECDSA signature; `r` and `s` may lack leading zeros. */
export interface EcdsaSignature {
  readonly scheme: 'ecdsa'
  readonly hashAlg: HashAlg
  readonly r: Buffer
  readonly s: Buffer
}

/** A parsed signature. */
export type TpmSignature = RsassaSignature | EcdsaSignature

const MAX_RSA_BYTES = 512
const MAX_SCALAR_BYTES = 66
const SCALAR_BYTES: Readonly<Record<Curve, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }

/**
 * Parses a TPMT_SIGNATURE.
 *
 * @param bytes The structure and nothing after it.
 * @returns The signature, tagged by scheme.
 * @throws {TpmError} `TPM_TRUNCATED`, `TPM_TRAILING`: too short or long. `TPM_MALFORMED`: a number too large.
 *   `TPM_UNSUPPORTED`: another scheme (RSAPSS, ECSchnorr, HMAC) or hash.
 */
export function parseSignature(bytes: Uint8Array): TpmSignature {
  const reader = new ByteReader(bytes, 'TPMT_SIGNATURE')
  const scheme = reader.u16('sigAlg')
  if (scheme !== ALG.rsassa && scheme !== ALG.ecdsa) throw reader.unsupported('sigAlg', 'RSASSA or ECDSA', scheme)
  const hashAlg = requireHash(reader, reader.u16('hash'), 'hash')
  if (scheme === ALG.rsassa) {
    const signature = reader.sized(MAX_RSA_BYTES, 'signature')
    reader.end()
    return { scheme: 'rsassa', hashAlg, signature }
  }
  const r = reader.sized(MAX_SCALAR_BYTES, 'signatureR')
  const s = reader.sized(MAX_SCALAR_BYTES, 'signatureS')
  reader.end()
  return { scheme: 'ecdsa', hashAlg, r, s }
}

/**
 * Tells whether a signature is this key's over these bytes.
 *
 * @param key The signer's key.
 * @param signature A parsed signature; of another scheme than the key's type, it is not valid.
 * @param message The signed bytes, not hashed.
 * @returns True only for a valid signature.
 */
export function verifySignature(key: TpmPublic, signature: TpmSignature, message: Uint8Array): boolean {
  const hash = opensslHash(signature.hashAlg)
  if (key.type === 'rsa') {
    return signature.scheme === 'rsassa' && check(() => verify(hash, message, key.key, signature.signature))
  }
  if (signature.scheme !== 'ecdsa') return false
  const raw = rawEcdsa(signature, SCALAR_BYTES[key.curve])
  if (raw === undefined) return false
  return check(() => verify(hash, message, { key: key.key, dsaEncoding: 'ieee-p1363' }, raw))
}

/** Joins r and s at full width, the form whose parsing leaves no choice. */
function rawEcdsa({ r, s }: EcdsaSignature, bytes: number): Buffer | undefined {
  if (r.length > bytes || s.length > bytes) return undefined
  const raw = Buffer.alloc(2 * bytes)
  r.copy(raw, bytes - r.length)
  s.copy(raw, 2 * bytes - s.length)
  return raw
}

// OpenSSL throws for some signatures it cannot read and for hashes it lacks; either way nothing is proved.
function check(run: () => boolean): boolean {
  try {
    return run()
  } catch {
    return false
  }
}
