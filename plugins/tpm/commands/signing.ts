/**
 * Signing a digest with an unrestricted key.
 *
 * @see TCG TPM 2.0 Library, Part 3, 20.2 (Sign)
 * @module
 */
import { ALG, type HashAlg, hashId } from '../algorithms.ts'
import { tpm2b, u16, u32 } from '../encode.ts'
import { byPassword, HIERARCHY, newCommand, type TpmCommand } from './command.ts'

/** Schemes a signing key of this project signs with. */
export type SigningScheme = 'rsassa' | 'rsapss' | 'ecdsa'

/** Raw signature: of RSA, or r and s of ECDSA, which may lack leading zeros. */
export type RawSignature =
  | { readonly scheme: 'rsassa' | 'rsapss'; readonly signature: Buffer }
  | { readonly scheme: 'ecdsa'; readonly r: Buffer; readonly s: Buffer }

const HASHCHECK_TAG = 0x8024
const MAX_RSA_BYTES = 512
const MAX_SCALAR_BYTES = 66
// The ticket of a digest that the TPM did not make itself: an unrestricted key signs it all the same.
const NO_TICKET = Buffer.concat([u16(HASHCHECK_TAG), u32(HIERARCHY.null), tpm2b()])

/**
 * Has a key sign a digest.
 *
 * @param key Handle of an unrestricted signing key without password.
 * @param digest Of the size of `hashAlg`.
 * @param scheme Fits the key's type; RSA-PSS salts with as many bytes as the digest has.
 * @param hashAlg The digest's hash.
 * @returns The command.
 */
export function sign(
  key: number,
  digest: Uint8Array,
  scheme: SigningScheme,
  hashAlg: HashAlg,
): TpmCommand<RawSignature> {
  return newCommand({
    name: 'Sign',
    code: 0x15d,
    handles: [key],
    authorizations: [byPassword()],
    parameters: [tpm2b(digest), u16(ALG[scheme]), u16(hashId(hashAlg)), NO_TICKET],
    read: (reader): RawSignature => {
      const [foundScheme, foundHash] = [reader.u16('sigAlg'), reader.u16('hash')]
      if (foundScheme !== ALG[scheme]) throw reader.unsupported('sigAlg', scheme, foundScheme)
      if (foundHash !== hashId(hashAlg)) throw reader.unsupported('hash', hashAlg, foundHash)
      if (scheme !== 'ecdsa') return { scheme, signature: Buffer.from(reader.sized(MAX_RSA_BYTES, 'signature')) }
      const r = Buffer.from(reader.sized(MAX_SCALAR_BYTES, 'signatureR'))
      const s = Buffer.from(reader.sized(MAX_SCALAR_BYTES, 'signatureS'))
      return { scheme, r, s }
    },
  })
}
