/**
 * What the key managers of server and agent have in common: they differ in the package of their service only.
 *
 * @module
 */
import type {
  GenerateKeyRequest,
  GetPublicKeyRequest,
  GetPublicKeysRequest,
  KeyManagerServer,
  PublicKey,
  SignDataRequest,
} from '../gen/spire/plugin/server/keymanager/v1/keymanager.ts'
import { type CallContext, type PluginRuntime, unary } from '../runtime/call.ts'
import { asBuffer } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'
import { requireName } from '../wire/wire-text.ts'

/** Kinds of key SPIRE asks for, and their numbers on the wire. */
export const KEY_TYPES = { EC_P256: 1, EC_P384: 2, RSA_2048: 3, RSA_4096: 4 } as const
/** Name of a kind of key. */
export type KeyTypeName = keyof typeof KEY_TYPES

/** The hashes SPIRE signs with; their numbers on the wire follow Go's `crypto.Hash`. */
export const HASH_ALGORITHMS = {
  SHA224: 4,
  SHA256: 5,
  SHA384: 6,
  SHA512: 7,
  SHA3_224: 10,
  SHA3_256: 11,
  SHA3_384: 12,
  SHA3_512: 13,
  SHA512_224: 14,
  SHA512_256: 15,
} as const
/** Name of a hash. */
export type HashAlgorithmName = keyof typeof HASH_ALGORITHMS

/** One public key. */
export interface ManagedKey {
  readonly id: string
  readonly type: KeyTypeName
  /** PKIX (SubjectPublicKeyInfo) DER. */
  readonly pkixData: Uint8Array
  /** Differs when a key is replaced by another with the same id. */
  readonly fingerprint: string
}

/** What is to be signed. */
export interface SignRequest {
  readonly keyId: string
  /** Already hashed with `hash`. */
  readonly data: Uint8Array
  readonly hash: HashAlgorithmName
  /** Set for RSA-PSS; absent means PKCS#1 v1.5 for an RSA key, ECDSA for an EC key. */
  readonly pssSaltLength?: number
}

/** A signature, and the key it was made with. */
export interface Signed {
  readonly signature: Uint8Array
  /** As in {@link ManagedKey}: SPIRE compares it with the one it meant. */
  readonly keyFingerprint: string
}

/** What the author of a KeyManager writes, for server or agent. */
export interface KeyManager<C> {
  /** Makes a key under an id, replacing the one that had it. */
  generateKey(id: string, type: KeyTypeName, config: C, context: CallContext): Promise<ManagedKey>
  /** Finds a key; `undefined` becomes `NOT_FOUND`. */
  getPublicKey(id: string, config: C, context: CallContext): Promise<ManagedKey | undefined>
  /** Lists every key. */
  getPublicKeys(config: C, context: CallContext): Promise<readonly ManagedKey[]>
  /** Signs; `undefined`, for an unknown key, becomes `NOT_FOUND`. */
  signData(request: SignRequest, config: C, context: CallContext): Promise<Signed | undefined>
}

/**
 * Makes the handlers of either key manager service.
 *
 * @param impl The plugin's code.
 * @param runtime What the plugin's services share.
 * @returns Handlers; requests with unknown key types, hashes or garbled ids end in `INVALID_ARGUMENT`.
 */
export function keyManagerHandlers<C>(impl: KeyManager<C>, runtime: PluginRuntime<C>): KeyManagerServer {
  return {
    generateKey: unary(runtime, 'GenerateKey', async (request: GenerateKeyRequest, config, context) => {
      const id = requireName(request.keyId, 'key_id')
      const type = nameOf(KEY_TYPES, request.keyType, 'key_type')
      return { publicKey: publicKey(await impl.generateKey(id, type, config, context)) }
    }),
    getPublicKey: unary(runtime, 'GetPublicKey', async (request: GetPublicKeyRequest, config, context) => {
      const id = requireName(request.keyId, 'key_id')
      const key = await impl.getPublicKey(id, config, context)
      return { publicKey: publicKey(requireFound(key, id)) }
    }),
    getPublicKeys: unary(runtime, 'GetPublicKeys', async (_request: GetPublicKeysRequest, config, context) => ({
      publicKeys: (await impl.getPublicKeys(config, context)).map(publicKey),
    })),
    signData: unary(runtime, 'SignData', async (request: SignDataRequest, config, context) => {
      const wanted = signRequest(request)
      const signed = requireFound(await impl.signData(wanted, config, context), wanted.keyId)
      return { signature: asBuffer(signed.signature), keyFingerprint: signed.keyFingerprint }
    }),
  }
}

function publicKey(key: ManagedKey): PublicKey {
  return { id: key.id, type: KEY_TYPES[key.type], pkixData: asBuffer(key.pkixData), fingerprint: key.fingerprint }
}

function signRequest(request: SignDataRequest): SignRequest {
  const keyId = requireName(request.keyId, 'key_id')
  const { data, signerOpts } = request
  if (signerOpts === undefined) throw new RpcError('INVALID_ARGUMENT', 'signer_opts is required')
  if (signerOpts.$case === 'hashAlgorithm') {
    return { keyId, data, hash: nameOf(HASH_ALGORITHMS, signerOpts.value, 'hash_algorithm') }
  }
  const { hashAlgorithm, saltLength } = signerOpts.value
  return { keyId, data, hash: nameOf(HASH_ALGORITHMS, hashAlgorithm, 'hash_algorithm'), pssSaltLength: saltLength }
}

function nameOf<T extends Readonly<Record<string, number>>>(table: T, value: number, field: string): keyof T & string {
  for (const [name, number] of Object.entries(table)) if (number === value) return name
  throw new RpcError(
    'INVALID_ARGUMENT',
    `${field} ${value} is not known, expected one of ${Object.keys(table).join(', ')}`,
  )
}

function requireFound<T>(found: T | undefined, id: string): T {
  if (found === undefined) throw new RpcError('NOT_FOUND', `key ${JSON.stringify(id)} not found`)
  return found
}
