// Writes the TPM 2.0 structures that a Keylime node sends: the opposite of what plugins/tpm reads, and sharing nothing with it.
import { createHash, type KeyObject } from 'node:crypto'

/** Names the hash algorithms a TPM bank can have. */
export type BankHash = 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** TPM_ALG_ID of each hash, from the TPM 2.0 Library, Part 2, table 9. */
export const HASH_IDS: Readonly<Record<BankHash, number>> = { sha1: 4, sha256: 0x0b, sha384: 0x0c, sha512: 0x0d }
/** TPMA_OBJECT of an attestation key as tpm2-tools and the Rust agent make it. */
export const AK_ATTRIBUTES = 0x0005_0072
/** TPMA_OBJECT of an endorsement key from the default template. */
export const EK_ATTRIBUTES = 0x0003_00b2

const CURVES: Readonly<Record<string, { readonly id: number; readonly bytes: number }>> = {
  'P-256': { id: 3, bytes: 32 },
  'P-384': { id: 4, bytes: 48 },
  'P-521': { id: 5, bytes: 66 },
}
// PolicyA of the EK credential profile: TPM2_PolicySecret(TPM_RH_ENDORSEMENT) under SHA-256.
const EK_POLICY = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex')
const NULL_ALG = 0x0010
const RSASSA = 0x0014
const ECDSA = 0x0018

const u8 = (value: number): Buffer => Buffer.of(value)
const u16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}
const tpm2b = (bytes: Uint8Array): Buffer => Buffer.concat([u16(bytes.length), bytes])
const fromBase64Url = (text: unknown): Buffer => Buffer.from(typeof text === 'string' ? text : '', 'base64url')

/** Hashes with one of the bank's algorithms. */
export function digest(hash: BankHash, ...parts: readonly Uint8Array[]): Buffer {
  const hasher = createHash(hash)
  for (const part of parts) hasher.update(part)
  return hasher.digest()
}

/** Says what a key's public area holds besides the key itself. */
export interface PublicArea {
  readonly nameAlg: BankHash
  readonly attributes: number
  /** `ek`: the EK template's policy and AES-128-CFB; `ak`: neither. */
  readonly template: 'ek' | 'ak'
  /** Hash of the signing scheme; ignored for an EK. */
  readonly schemeHash: BankHash
  /** Replaces the signing scheme: 0x0010 none, 0x0016 RSAPSS and so on. */
  readonly scheme?: number
}

/**
 * Writes a TPM2B_PUBLIC.
 * @returns The structure, size first.
 */
export function encodeTpm2bPublic(key: KeyObject, area: PublicArea): Buffer {
  const jwk = key.export({ format: 'jwk' })
  const isRsa = key.asymmetricKeyType === 'rsa'
  const isEk = area.template === 'ek'
  const symmetric = isEk ? [u16(0x0006), u16(128), u16(0x0043)] : [u16(NULL_ALG)]
  const schemeId = area.scheme ?? (isRsa ? RSASSA : ECDSA)
  const scheme = isEk || schemeId === NULL_ALG ? [u16(NULL_ALG)] : [u16(schemeId), u16(HASH_IDS[area.schemeHash])]
  const head = [
    u16(isRsa ? 0x0001 : 0x0023),
    u16(HASH_IDS[area.nameAlg]),
    u32(area.attributes),
    tpm2b(isEk ? EK_POLICY : Buffer.alloc(0)),
    ...symmetric,
    ...scheme,
  ]
  if (isRsa) {
    const modulus = fromBase64Url(jwk.n)
    return tpm2b(Buffer.concat([...head, u16(modulus.length * 8), u32(0), tpm2b(modulus)]))
  }
  const curve = CURVES[jwk.crv ?? '']
  if (curve === undefined) throw new Error(`no TPM curve for ${jwk.crv}`)
  const point = [tpm2b(fromBase64Url(jwk.x)), tpm2b(fromBase64Url(jwk.y))]
  return tpm2b(Buffer.concat([...head, u16(curve.id), u16(NULL_ALG), ...point]))
}

/** Computes the Name of a public area: algorithm, then digest of the area without its size. */
export function nameOfPublic(tpm2bPublic: Uint8Array, nameAlg: BankHash): Buffer {
  return Buffer.concat([u16(HASH_IDS[nameAlg]), digest(nameAlg, tpm2bPublic.subarray(2))])
}

/** Computes the qualified name of a key below another: the parent's qualified name, then the key's Name. */
export function qualifiedNameBelow(parent: Uint8Array, name: Uint8Array, nameAlg: BankHash): Buffer {
  return Buffer.concat([u16(HASH_IDS[nameAlg]), digest(nameAlg, parent, name)])
}

/** Gives the handle of the endorsement hierarchy, which stands for the qualified name above a primary EK. */
export function endorsementHandle(): Buffer {
  return u32(0x4000_000b)
}

/** Every field of a quote's TPMS_ATTEST that a test may want wrong. */
export interface AttestFields {
  readonly magic: number
  readonly type: number
  readonly qualifiedSigner: Uint8Array
  readonly extraData: Uint8Array
  readonly clock: bigint
  readonly resetCount: number
  readonly restartCount: number
  readonly safe: boolean
  readonly bank: BankHash
  readonly pcrs: readonly number[]
  readonly pcrDigest: Uint8Array
}

const selectBits = (pcrs: readonly number[], size: number): Buffer => {
  const bits = Buffer.alloc(size)
  for (const pcr of pcrs) bits.writeUInt8(bits.readUInt8(pcr >> 3) | (1 << (pcr & 7)), pcr >> 3)
  return bits
}

/**
 * Writes the TPMS_ATTEST of a quote.
 * @returns 145 bytes for a SHA-256 Name, a nonce of 32 bytes and one PCR.
 */
export function encodeAttest(fields: AttestFields): Buffer {
  return Buffer.concat([
    u32(fields.magic),
    u16(fields.type),
    tpm2b(fields.qualifiedSigner),
    tpm2b(fields.extraData),
    u64(fields.clock),
    u32(fields.resetCount),
    u32(fields.restartCount),
    u8(fields.safe ? 1 : 0),
    u64(0x2019_1023_0016_3636n),
    u32(1),
    u16(HASH_IDS[fields.bank]),
    u8(3),
    selectBits(fields.pcrs, 3),
    tpm2b(fields.pcrDigest),
  ])
}

/**
 * Writes a TPMT_SIGNATURE.
 * @param signature PKCS#1 v1.5 signature, or r and s side by side.
 */
export function encodeSignature(isRsa: boolean, hash: BankHash, signature: Uint8Array): Buffer {
  const half = signature.length / 2
  const values = isRsa ? [tpm2b(signature)] : [tpm2b(signature.subarray(0, half)), tpm2b(signature.subarray(half))]
  return Buffer.concat([u16(isRsa ? RSASSA : ECDSA), u16(HASH_IDS[hash]), ...values])
}

/**
 * Writes the PCR values as tpm2-tools' "serialized" format has them, which is little-endian.
 * @returns 668 bytes for up to eight, 532 more for each further eight.
 * @see keylime 9b1f6e6a, keylime/tpm/tpm_util.py, `checkquote`
 */
export function encodePcrBlob(bank: BankHash, values: ReadonlyMap<number, Uint8Array>): Buffer {
  const all = [...values.values()]
  const lists = Array.from({ length: Math.max(1, Math.ceil(all.length / 8)) }, (_, list) =>
    all.slice(list * 8, list * 8 + 8),
  )
  const blob = Buffer.alloc(132 + 4 + lists.length * 532)
  blob.writeUInt32LE(1, 0)
  blob.writeUInt16LE(HASH_IDS[bank], 4)
  blob.writeUInt8(3, 6)
  selectBits([...values.keys()], 3).copy(blob, 7)
  blob.writeUInt32LE(lists.length, 132)
  for (const [list, some] of lists.entries()) {
    const start = 136 + list * 532
    blob.writeUInt32LE(some.length, start)
    for (const [index, value] of some.entries()) {
      blob.writeUInt16LE(value.length, start + 4 + index * 66)
      blob.set(value, start + 6 + index * 66)
    }
  }
  return blob
}
