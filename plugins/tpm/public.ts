/**
 * TPM2B_PUBLIC: the public part of a key inside a TPM, as a registrar keeps AK and EK.
 *
 * @see TCG TPM 2.0 Library, Part 2, 12.2 (TPMT_PUBLIC)
 * @module
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { ALG, type HashAlg, MAX_DIGEST_BYTES, requireHash } from './algorithms.ts'
import { ByteReader } from './byte-reader.ts'
import { eccSpki, pemOf, rsaSpki } from './spki.ts'
import { TpmError } from './tpm-error.ts'

/** An elliptic curve read here. */
export type Curve = 'P-256' | 'P-384' | 'P-521'

/** A key's scheme by name; `null` lets each use choose, `other` is valid but neither signs a quote nor encrypts to an EK. */
export type SchemeName = 'rsassa' | 'rsapss' | 'ecdsa' | 'null' | 'other'

/** A key's scheme and its hash, where it has one. */
export interface KeyScheme {
  readonly name: SchemeName
  readonly hashAlg: HashAlg | undefined
}

/** Block cipher with which a key protects its children, by TPM_ALG_ID. */
export interface SymmetricCipher {
  readonly algorithm: number
  readonly bits: number
  readonly mode: number
}

interface PublicFields {
  readonly nameAlg: HashAlg
  /** TPMA_OBJECT, a bit set. */
  readonly attributes: number
  readonly scheme: KeyScheme
  /** The cipher of a key that wraps children, as an EK does; an AK has none. */
  readonly symmetric: SymmetricCipher | undefined
  /** The TPMT_PUBLIC as received: what the Name hashes. */
  readonly area: Buffer
  readonly key: KeyObject
  /** SubjectPublicKeyInfo, DER, byte for byte what OpenSSL writes. */
  readonly spki: Buffer
  /** The same as PEM, with a final newline. */
  readonly pem: string
}

/** A parsed RSA key. */
export interface TpmRsaPublic extends PublicFields {
  readonly type: 'rsa'
  readonly bits: number
  /** Big-endian, without leading zeros; so is the exponent. */
  readonly modulus: Buffer
  readonly exponent: Buffer
}

/** A parsed elliptic curve key. */
export interface TpmEccPublic extends PublicFields {
  readonly type: 'ecc'
  readonly curve: Curve
  /** Coordinates of the point, as many bytes as the curve's field has. */
  readonly x: Buffer
  readonly y: Buffer
}

/** A parsed public key of a TPM. */
export type TpmPublic = TpmRsaPublic | TpmEccPublic

const RSA_BITS: readonly number[] = [2048, 3072, 4096]
const MAX_MODULUS_BYTES = 512
const MAX_COORDINATE_BYTES = 66
const DEFAULT_EXPONENT = 65537
const CURVES: ReadonlyMap<number, { readonly curve: Curve; readonly bytes: number }> = new Map([
  [0x0003, { curve: 'P-256', bytes: 32 }],
  [0x0004, { curve: 'P-384', bytes: 48 }],
  [0x0005, { curve: 'P-521', bytes: 66 }],
])
const BLOCK_CIPHERS: ReadonlySet<number> = new Set([ALG.tdes, ALG.aes, ALG.sm4, ALG.camellia])
const KDFS: ReadonlySet<number> = new Set([ALG.mgf1, ALG.kdf1Sp80056a, ALG.kdf2, ALG.kdf1Sp800108])

// What follows each scheme number: nothing, a hash, or a hash and a counter (ECDAA).
type SchemeDetails = 'none' | 'hash' | 'hash_and_count'
type SchemeTable = ReadonlyMap<number, readonly [SchemeName, SchemeDetails]>
const RSA_SCHEMES: SchemeTable = new Map([
  [ALG.null, ['null', 'none']],
  [ALG.rsassa, ['rsassa', 'hash']],
  [ALG.rsapss, ['rsapss', 'hash']],
  [ALG.rsaes, ['other', 'none']],
  [ALG.oaep, ['other', 'hash']],
])
const ECC_SCHEMES: SchemeTable = new Map([
  [ALG.null, ['null', 'none']],
  [ALG.ecdsa, ['ecdsa', 'hash']],
  [ALG.ecdaa, ['other', 'hash_and_count']],
  [ALG.sm2, ['other', 'hash']],
  [ALG.ecschnorr, ['other', 'hash']],
  [ALG.ecdh, ['other', 'hash']],
  [ALG.ecmqv, ['other', 'hash']],
])

/**
 * Parses a TPM2B_PUBLIC of an RSA (2048, 3072, 4096 bits) or elliptic curve key (P-256, P-384, P-521).
 *
 * @param bytes The structure, u16 length included, and nothing after it.
 * @returns The key, with what decides its use.
 * @throws {TpmError} `TPM_TRUNCATED`, `TPM_TRAILING`: the length does not fit. `TPM_MALFORMED`: a forbidden value, such
 *   as a point that is not on its curve. `TPM_UNSUPPORTED`: another key type, size, curve or algorithm.
 */
export function parseTpm2bPublic(bytes: Uint8Array): TpmPublic {
  const outer = new ByteReader(bytes, 'TPM2B_PUBLIC')
  const area = outer.sized(0xffff, 'size')
  outer.end()

  const reader = new ByteReader(area, 'TPMT_PUBLIC')
  const type = reader.u16('type')
  const nameAlg = requireHash(reader, reader.u16('nameAlg'), 'nameAlg')
  const attributes = reader.u32('objectAttributes')
  reader.sized(MAX_DIGEST_BYTES, 'authPolicy')
  const symmetric = readSymmetric(reader)
  const common = { nameAlg, attributes, symmetric, area }
  if (type === ALG.rsa) return { type: 'rsa', ...common, ...readRsa(reader) }
  if (type === ALG.ecc) return { type: 'ecc', ...common, ...readEcc(reader) }
  throw reader.unsupported('type', 'an RSA or ECC key', type)
}

function readSymmetric(reader: ByteReader): SymmetricCipher | undefined {
  const algorithm = reader.u16('symmetric')
  if (algorithm === ALG.null) return undefined
  if (!BLOCK_CIPHERS.has(algorithm)) throw reader.unsupported('symmetric', 'a block cipher or none', algorithm)
  return { algorithm, bits: reader.u16('symmetric keyBits'), mode: reader.u16('symmetric mode') }
}

function readScheme(reader: ByteReader, table: SchemeTable): KeyScheme {
  const id = reader.u16('scheme')
  const known = table.get(id)
  if (known === undefined) throw reader.unsupported('scheme', 'a scheme of this key type', id)
  const [name, details] = known
  if (details === 'none') return { name, hashAlg: undefined }
  const hashAlg = requireHash(reader, reader.u16('scheme hash'), 'scheme hash')
  if (details === 'hash_and_count') reader.u16('scheme count')
  return { name, hashAlg }
}

type RsaParts = Pick<TpmRsaPublic, 'scheme' | 'bits' | 'modulus' | 'exponent' | 'key' | 'spki' | 'pem'>

function readRsa(reader: ByteReader): RsaParts {
  const scheme = readScheme(reader, RSA_SCHEMES)
  const bits = reader.u16('keyBits')
  if (!RSA_BITS.includes(bits)) {
    throw new TpmError('TPM_UNSUPPORTED', `TPMT_PUBLIC keyBits: expected 2048, 3072 or 4096, found ${bits}`)
  }
  const number = reader.u32('exponent') || DEFAULT_EXPONENT
  if (number < 3 || number % 2 === 0) throw reader.malformed('exponent', 'an odd number above 2', `${number}`)
  const modulus = reader.sized(MAX_MODULUS_BYTES, 'modulus')
  reader.end()
  const isFull =
    modulus.length * 8 === bits && modulus.readUInt8(0) >= 0x80 && modulus.readUInt8(bits / 8 - 1) % 2 === 1
  if (!isFull) throw reader.malformed('modulus', `an odd number of ${bits} bits`, `${modulus.length} bytes`)
  const e = Buffer.alloc(4)
  e.writeUInt32BE(number)
  const exponent = withoutLeadingZeros(e)
  const key = importKey({ kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') })
  const spki = rsaSpki(modulus, exponent)
  return { scheme, bits, modulus, exponent, key, spki, pem: pemOf(spki) }
}

type EccParts = Pick<TpmEccPublic, 'scheme' | 'curve' | 'x' | 'y' | 'key' | 'spki' | 'pem'>

function readEcc(reader: ByteReader): EccParts {
  const scheme = readScheme(reader, ECC_SCHEMES)
  const curveId = reader.u16('curveID')
  const facts = CURVES.get(curveId)
  if (facts === undefined) throw reader.unsupported('curveID', 'P-256, P-384 or P-521', curveId)
  readKdf(reader)
  const x = readCoordinate(reader, 'x', facts.bytes)
  const y = readCoordinate(reader, 'y', facts.bytes)
  reader.end()
  const { curve } = facts
  const key = importKey({ kty: 'EC', crv: curve, x: x.toString('base64url'), y: y.toString('base64url') })
  const spki = eccSpki(curve, x, y)
  return { scheme, curve, x, y, key, spki, pem: pemOf(spki) }
}

function readKdf(reader: ByteReader): void {
  const kdf = reader.u16('kdf')
  if (kdf === ALG.null) return
  if (!KDFS.has(kdf)) throw reader.unsupported('kdf', 'a key derivation function or none', kdf)
  requireHash(reader, reader.u16('kdf hash'), 'kdf hash')
}

// Some TPMs drop leading zeros of a coordinate; a JWK wants all of them.
function readCoordinate(reader: ByteReader, field: string, bytes: number): Buffer {
  const value = reader.sized(MAX_COORDINATE_BYTES, field)
  if (value.length === 0 || value.length > bytes) {
    throw reader.malformed(field, `1 to ${bytes} bytes`, `${value.length}`)
  }
  return Buffer.concat([Buffer.alloc(bytes - value.length), value])
}

function withoutLeadingZeros(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  return bytes.subarray(first === -1 ? bytes.length : first)
}

function importKey(jwk: Readonly<Record<string, string>>): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch (cause) {
    throw new TpmError(
      'TPM_MALFORMED',
      'TPMT_PUBLIC unique: expected a public key, found one that OpenSSL refuses',
      cause,
    )
  }
}
