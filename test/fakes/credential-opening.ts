// Opens what MakeCredential sealed, as a TPM would with its endorsement key: shares nothing with plugins/tpm.
import {
  constants,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  privateDecrypt,
  timingSafeEqual,
} from 'node:crypto'

/** What a TPM knows of its endorsement key. */
export interface OpeningKey {
  readonly privateKey: KeyObject
  readonly nameAlg: 'sha256' | 'sha384'
  readonly aesBits: 128 | 256
}

/** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. */
export interface Sealed {
  readonly credential: Uint8Array
  readonly secret: Uint8Array
}

/**
 * Opens a credential.
 * @param ek The endorsement key's private part.
 * @param name Name of the key it must be for.
 * @throws The integrity value is not that of this key and this name: TPM_RC_INTEGRITY in a TPM.
 */
export function openCredential(ek: OpeningKey, name: Uint8Array, sealed: Sealed): Buffer {
  const size = createHash(ek.nameAlg).digest().length
  const seed = seedOf(ek, inner(sealed.secret), size)
  const object = inner(sealed.credential)
  const integrity = inner(object.subarray(0, 2 + object.readUInt16BE()))
  const encrypted = object.subarray(2 + integrity.length)
  const macKey = derive(ek.nameAlg, seed, 'INTEGRITY', Buffer.alloc(0), size)
  const expected = createHmac(ek.nameAlg, macKey).update(encrypted).update(name).digest()
  if (!timingSafeEqual(expected, integrity)) throw new Error('TPM_RC_INTEGRITY')
  const key = derive(ek.nameAlg, seed, 'STORAGE', name, ek.aesBits / 8)
  const decipher = createDecipheriv(`aes-${ek.aesBits}-cfb`, key, Buffer.alloc(16))
  return inner(Buffer.concat([decipher.update(encrypted), decipher.final()]))
}

function seedOf({ privateKey, nameAlg }: OpeningKey, secret: Buffer, size: number): Buffer {
  if (privateKey.asymmetricKeyType === 'rsa') {
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    return privateDecrypt({ key: privateKey, padding, oaepHash: nameAlg, oaepLabel: Buffer.from('IDENTITY\0') }, secret)
  }
  const xLength = secret.readUInt16BE()
  const x = secret.subarray(2, 2 + xLength)
  const y = secret.subarray(4 + xLength)
  const { crv = '', x: ownX = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const jwk = { kty: 'EC', crv, x: x.toString('base64url'), y: y.toString('base64url') }
  const z = diffieHellman({ privateKey, publicKey: createPublicKey({ key: jwk, format: 'jwk' }) })
  const counter = Buffer.from([0, 0, 0, 1])
  const parts = [counter, z, Buffer.from('IDENTITY\0'), x, Buffer.from(ownX, 'base64url')]
  return createHash(nameAlg).update(Buffer.concat(parts)).digest().subarray(0, size)
}

/** KDFa for at most one block of the HMAC. */
function derive(hash: string, key: Buffer, label: string, context: Uint8Array, bytes: number): Buffer {
  const bits = Buffer.alloc(4)
  bits.writeUInt32BE(bytes * 8)
  const input = Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from(`${label}\0`), context, bits])
  return createHmac(hash, key).update(input).digest().subarray(0, bytes)
}

function inner(sized: Uint8Array): Buffer {
  const bytes = Buffer.from(sized)
  if (bytes.readUInt16BE() !== bytes.length - 2) throw new Error('TPM_RC_SIZE')
  return bytes.subarray(2)
}
