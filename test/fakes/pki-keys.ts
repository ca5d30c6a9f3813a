// Private keys for test certificates: one pool a process, since RSA keys take long to make.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto'

/** Names the kinds of key a test certificate can have. */
export type KeyKind = 'ec-p256' | 'ec-p384' | 'ec-p521' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096'

/** Names the PEM forms of a private key; `encrypted` is PKCS#8 under the passphrase given. */
export type KeyFormat = 'pkcs8' | 'sec1' | 'pkcs1' | 'encrypted' | 'encrypted-legacy'

/** One private key as Node and as WebCrypto know it. */
export interface TestKey {
  readonly kind: KeyKind
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

interface KindFacts {
  readonly curve?: string
  readonly bits?: number
  readonly hash: 'SHA-256' | 'SHA-384' | 'SHA-512'
}

const KINDS: Readonly<Record<KeyKind, KindFacts>> = {
  'ec-p256': { curve: 'P-256', hash: 'SHA-256' },
  'ec-p384': { curve: 'P-384', hash: 'SHA-384' },
  'ec-p521': { curve: 'P-521', hash: 'SHA-512' },
  'rsa-2048': { bits: 2048, hash: 'SHA-256' },
  'rsa-3072': { bits: 3072, hash: 'SHA-256' },
  'rsa-4096': { bits: 4096, hash: 'SHA-256' },
}

const rsaPool = new Map<string, TestKey>()

/** Makes a private key. */
export function newTestKey(kind: KeyKind): TestKey {
  const { curve, bits } = KINDS[kind]
  const pair =
    curve === undefined
      ? generateKeyPairSync('rsa', { modulusLength: bits ?? 2048 })
      : generateKeyPairSync('ec', { namedCurve: curve })
  return { kind, ...pair }
}

/**
 * Takes the n-th key of a kind: RSA keys come from the process-wide pool, EC keys are always new.
 * @param index Position in the pool, from 0; two positions never hold the same key.
 */
export function pooledTestKey(kind: KeyKind, index: number): TestKey {
  if (KINDS[kind].bits === undefined) return newTestKey(kind)
  const name = `${kind}/${index}`
  const known = rsaPool.get(name)
  if (known !== undefined) return known
  const made = newTestKey(kind)
  rsaPool.set(name, made)
  return made
}

/**
 * Writes a private key as PEM.
 * @param format PEM form; `sec1` and `encrypted-legacy` with EC keys, `pkcs1` and `encrypted-legacy` with RSA keys.
 * @returns PEM text with a trailing newline.
 */
export function keyPem(key: TestKey, format: KeyFormat = 'pkcs8', passphrase = 'secret'): string {
  const own = key.privateKey.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs1'
  if (format === 'encrypted' || format === 'encrypted-legacy') {
    const type = format === 'encrypted' ? 'pkcs8' : own
    return key.privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase })
  }
  return key.privateKey.export({ type: format, format: 'pem' })
}

/**
 * Reads a key back from the PEM that `keyPem` wrote.
 * @param pem Unencrypted PEM.
 */
export function testKeyFromPem(kind: KeyKind, pem: string): TestKey {
  const privateKey = createPrivateKey(pem)
  return { kind, privateKey, publicKey: createPublicKey(privateKey) }
}

/**
 * Gives the key to WebCrypto, which signs the certificates.
 * @returns Both halves, and the algorithm to sign with.
 */
export async function webCryptoPair(
  key: TestKey,
): Promise<webcrypto.CryptoKeyPair & { readonly algorithm: webcrypto.Algorithm }> {
  const { curve, hash } = KINDS[key.kind]
  const algorithm =
    curve === undefined ? { name: 'RSASSA-PKCS1-v1_5', hash } : { name: 'ECDSA', hash, namedCurve: curve }
  const { subtle } = globalThis.crypto
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey('pkcs8', key.privateKey.export({ type: 'pkcs8', format: 'der' }), algorithm, true, ['sign']),
    subtle.importKey('spki', key.publicKey.export({ type: 'spki', format: 'der' }), algorithm, true, ['verify']),
  ])
  return { privateKey, publicKey, algorithm }
}
