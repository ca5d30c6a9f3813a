/**
 * The name of a key: how a TPM says which key is meant, and under which parent.
 *
 * @see TCG TPM 2.0 Library, Part 1, section 16 (Names) and 26.5 (Qualified Name)
 * @module
 */
import { digest, type HashAlg, hashId } from './algorithms.ts'
import type { TpmPublic } from './public.ts'

// TPM_RH_ENDORSEMENT, the hierarchy an EK is a primary key of.
const ENDORSEMENT_HIERARCHY = Buffer.from([0x40, 0x00, 0x00, 0x0b])

/**
 * Computes a key's Name: its nameAlg and the hash of its public area.
 *
 * @param key A parsed key.
 * @returns Two bytes of algorithm and the digest.
 * @throws {TpmError} `TPM_UNSUPPORTED`: this OpenSSL lacks the hash.
 */
export function nameOf(key: TpmPublic): Buffer {
  return withAlgorithm(key.nameAlg, digest(key.nameAlg, key.area))
}

/**
 * Computes the Qualified Name of an AK made directly under an endorsement primary key: what a quote of that AK names
 * as its signer, so a quote is bound to the EK too.
 *
 * @param ek The endorsement primary key.
 * @param ak Its child.
 * @returns Two bytes of algorithm and the digest.
 * @throws {TpmError} `TPM_UNSUPPORTED`: this OpenSSL lacks a hash.
 */
export function qualifiedName(ek: TpmPublic, ak: TpmPublic): Buffer {
  const parent = withAlgorithm(ek.nameAlg, digest(ek.nameAlg, ENDORSEMENT_HIERARCHY, nameOf(ek)))
  return withAlgorithm(ak.nameAlg, digest(ak.nameAlg, parent, nameOf(ak)))
}

function withAlgorithm(hashAlg: HashAlg, hash: Buffer): Buffer {
  const name = Buffer.alloc(2 + hash.length)
  name.writeUInt16BE(hashId(hashAlg))
  hash.copy(name, 2)
  return name
}
