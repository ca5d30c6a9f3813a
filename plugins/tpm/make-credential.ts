/**
 * MakeCredential without a TPM: seals a secret so that only the TPM of an endorsement key opens it, and only while it
 * holds the key that is named.
 *
 * @see TCG TPM 2.0 Library, Part 1, 24 (Credential Protection), 11.4.10 (KDFa, KDFe), B.10 (RSA), C.6 (ECC)
 * @module
 */
import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { ALG, digestBytes, type HashAlg, opensslHash } from './algorithms.ts'
import type { SealedCredential } from './commands/attestation.ts'
import { tpm2b, u32 } from './encode.ts'
import type { Curve, TpmEccPublic, TpmPublic, TpmRsaPublic } from './public.ts'
import { TpmError } from './tpm-error.ts'

/** Key pair of one exchange. */
export interface EphemeralKey {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** Sources of what must not be guessed; tests fix them. */
export interface Randomness {
  seed(bytes: number): Buffer
  ephemeral(curve: Curve): EphemeralKey
}

const CFB_MODE = 0x0043
const COORDINATE_BYTES: Readonly<Record<Curve, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }
const IDENTITY = 'IDENTITY'

const FRESH: Randomness = {
  seed: randomBytes,
  ephemeral: (curve) => generateKeyPairSync('ec', { namedCurve: curve }),
}

/**
 * Seals a secret.
 *
 * @param ek The endorsement key: RSA or elliptic curve, with AES in CFB mode.
 * @param name Name of the key that must share the TPM.
 * @param secret At most as many bytes as the EK's nameAlg has.
 * @param randomness Default: fresh.
 * @returns What `ActivateCredential` opens.
 * @throws {TpmError} `TPM_UNSUPPORTED`: the EK wraps with another cipher, or this OpenSSL lacks its hash.
 *   `TPM_MALFORMED`: the secret is too long.
 */
export function makeCredential(
  ek: TpmPublic,
  name: Uint8Array,
  secret: Uint8Array,
  randomness: Randomness = FRESH,
): SealedCredential {
  const size = digestBytes(ek.nameAlg)
  if (secret.length > size) {
    throw new TpmError('TPM_MALFORMED', `credential: expected at most ${size} bytes, found ${secret.length}`)
  }
  const keyBytes = aesKeyBytes(ek)
  const { seed, encrypted } = ek.type === 'rsa' ? sealSeedRsa(ek, randomness) : sealSeedEcc(ek, randomness)
  const hash = opensslHash(ek.nameAlg)
  const key = kdfa(ek.nameAlg, seed, 'STORAGE', name, keyBytes)
  const cipher = createCipheriv(`aes-${keyBytes * 8}-cfb`, key, Buffer.alloc(16))
  const identity = Buffer.concat([cipher.update(tpm2b(secret)), cipher.final()])
  const integrityKey = kdfa(ek.nameAlg, seed, 'INTEGRITY', Buffer.alloc(0), size)
  const integrity = createHmac(hash, integrityKey).update(identity).update(name).digest()
  return { credential: tpm2b(tpm2b(integrity), identity), secret: tpm2b(encrypted) }
}

/**
 * Derives a key as TPMs do from a secret: SP 800-108 in counter mode, with a label and one context.
 *
 * @param hashAlg Its HMAC is the generator.
 * @param key The secret.
 * @param label ASCII, without its final zero.
 * @param context Bound to the result.
 * @param bytes How many to derive.
 * @returns The key.
 */
export function kdfa(hashAlg: HashAlg, key: Uint8Array, label: string, context: Uint8Array, bytes: number): Buffer {
  const fixed = Buffer.concat([Buffer.from(`${label}\0`), context, u32(bytes * 8)])
  return counted(bytes, (counter) => createHmac(opensslHash(hashAlg), key).update(counter).update(fixed).digest())
}

/**
 * Derives a key as TPMs do from a shared point: SP 800-56A, with a label and both parties' x coordinates.
 *
 * @param hashAlg The hash.
 * @param shared x coordinate of the shared point.
 * @param label ASCII, without its final zero.
 * @param parties x of the ephemeral key, then of the static key.
 * @param bytes How many to derive.
 * @returns The key.
 */
export function kdfe(
  hashAlg: HashAlg,
  shared: Uint8Array,
  label: string,
  parties: readonly [Uint8Array, Uint8Array],
  bytes: number,
): Buffer {
  const fixed = Buffer.concat([shared, Buffer.from(`${label}\0`), ...parties])
  return counted(bytes, (counter) => createHash(opensslHash(hashAlg)).update(counter).update(fixed).digest())
}

function counted(bytes: number, block: (counter: Buffer) => Buffer): Buffer {
  const blocks: Buffer[] = []
  for (let index = 1, have = 0; have < bytes; index++) {
    const next = block(u32(index))
    blocks.push(next)
    have += next.length
  }
  return Buffer.concat(blocks).subarray(0, bytes)
}

function aesKeyBytes({ symmetric }: TpmPublic): number {
  const isAes = symmetric?.algorithm === ALG.aes && symmetric.mode === CFB_MODE
  if (isAes && (symmetric.bits === 128 || symmetric.bits === 256)) return symmetric.bits / 8
  throw new TpmError('TPM_UNSUPPORTED', 'endorsement key: expected AES of 128 or 256 bits in CFB mode, found another')
}

interface SealedSeed {
  readonly seed: Buffer
  readonly encrypted: Buffer
}

function sealSeedRsa(ek: TpmRsaPublic, randomness: Randomness): SealedSeed {
  const seed = randomness.seed(digestBytes(ek.nameAlg))
  const encrypted = publicEncrypt(
    {
      key: ek.key,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: opensslHash(ek.nameAlg),
      oaepLabel: Buffer.from(`${IDENTITY}\0`),
    },
    seed,
  )
  return { seed, encrypted }
}

function sealSeedEcc(ek: TpmEccPublic, randomness: Randomness): SealedSeed {
  const { privateKey, publicKey } = randomness.ephemeral(ek.curve)
  const shared = diffieHellman({ privateKey, publicKey: ek.key })
  const [x, y] = coordinates(publicKey, ek.curve)
  const [staticX] = coordinates(ek.key, ek.curve)
  const seed = kdfe(ek.nameAlg, shared, IDENTITY, [x, staticX], digestBytes(ek.nameAlg))
  return { seed, encrypted: Buffer.concat([tpm2b(x), tpm2b(y)]) }
}

function coordinates(key: KeyObject, curve: Curve): readonly [Buffer, Buffer] {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  return [atFullWidth(x, curve), atFullWidth(y, curve)]
}

// A JWK has the leading zeros; whoever made it, the TPM wants them.
function atFullWidth(text: string, curve: Curve): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  return Buffer.concat([Buffer.alloc(COORDINATE_BYTES[curve] - bytes.length), bytes])
}
