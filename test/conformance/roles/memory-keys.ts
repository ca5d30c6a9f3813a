/**
 * Keys in memory, for a KeyManager under test.
 *
 * SPIRE asks for a signature over a ready digest, which `node:crypto` cannot make with an EC key: it hashes first. So
 * the ECDSA arithmetic is here. It takes different time for different keys: not for keys that matter.
 *
 * @module
 */
import {
  constants,
  createECDH,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  randomBytes,
} from 'node:crypto'
import { type KeyManager, type ManagedKey, RpcError } from '../../../plugins/spire-sdk/index.ts'

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** DigestInfo before a SHA-256 digest, for PKCS#1 v1.5. */
const SHA256_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex')

interface StoredKey {
  readonly shown: ManagedKey
  readonly key: KeyObject
}

/**
 * Makes an empty key manager for EC P-256 and RSA keys.
 *
 * @returns Key manager without configuration.
 */
export function memoryKeys(): KeyManager<undefined> {
  const keys = new Map<string, StoredKey>()
  return {
    async generateKey(id, type) {
      const { publicKey, privateKey } =
        type === 'EC_P256'
          ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
          : generateKeyPairSync('rsa', { modulusLength: type === 'RSA_4096' ? 4096 : 2048 })
      const pkixData = publicKey.export({ type: 'spki', format: 'der' })
      const shown = { id, type, pkixData, fingerprint: createHash('sha256').update(pkixData).digest('hex') }
      keys.set(id, { shown, key: privateKey })
      return shown
    },
    getPublicKey: async (id) => keys.get(id)?.shown,
    getPublicKeys: async () => [...keys.values()].map((each) => each.shown),
    async signData({ keyId, data, hash, pssSaltLength }) {
      const found = keys.get(keyId)
      if (found === undefined) return undefined
      if (hash !== 'SHA256' || pssSaltLength !== undefined) throw new RpcError('UNIMPLEMENTED', `no ${hash} here`)
      return { signature: signDigest(found.key, data), keyFingerprint: found.shown.fingerprint }
    },
  }
}

function signDigest(key: KeyObject, digest: Uint8Array): Buffer {
  if (key.asymmetricKeyType === 'ec') return ecdsa(key, digest)
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.concat([SHA256_INFO, digest]))
}

/** FIPS 186-5, section 6.4.1, on P-256. */
function ecdsa(key: KeyObject, digest: Uint8Array): Buffer {
  const d = toNumber(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'))
  const nonce = randomBytes(32)
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(nonce)
  const r = toNumber(curve.getPublicKey().subarray(1, 33)) % P256_ORDER
  const inverse = power(toNumber(nonce) % P256_ORDER, P256_ORDER - 2n)
  const s = (inverse * (toNumber(digest) + r * d)) % P256_ORDER
  return Buffer.concat([Buffer.from([0x30, integer(r).length + integer(s).length]), integer(r), integer(s)])
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let square = base, left = exponent; left > 0n; left >>= 1n, square = (square * square) % P256_ORDER) {
    if ((left & 1n) === 1n) result = (result * square) % P256_ORDER
  }
  return result
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

/** DER INTEGER, positive. */
function integer(value: bigint): Buffer {
  const hex = value.toString(16)
  const even = hex.length % 2 === 0 ? hex : `0${hex}`
  const bytes = Buffer.from(Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even, 'hex')
  return Buffer.concat([Buffer.from([0x02, bytes.length]), bytes])
}
