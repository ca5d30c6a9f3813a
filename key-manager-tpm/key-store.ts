/**
 * The keys of one agent: files of wrapped keys, and the TPM that alone can use them.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import {
  type HashAlgorithmName,
  type KeyTypeName,
  type Logger,
  type ManagedKey,
  RpcError,
  type Signed,
  type SignRequest,
} from '@tower-of-omens/spire-sdk'
import { type HashAlg, parseTpm2bPublic } from '@tower-of-omens/tpm'
import type { SigningKeyType, SigningScheme } from '@tower-of-omens/tpm/commands'
import { readKeys, type StoredKey, writeKey } from './key-files.ts'
import type { TpmKeys } from './tpm-keys.ts'

const TYPES: Readonly<Record<KeyTypeName, SigningKeyType | undefined>> = {
  EC_P256: 'ec-p256',
  EC_P384: 'ec-p384',
  RSA_2048: 'rsa-2048',
  RSA_4096: undefined,
}

const HASHES: Readonly<Partial<Record<HashAlgorithmName, HashAlg>>> = {
  SHA256: 'sha256',
  SHA384: 'sha384',
  SHA512: 'sha512',
}

/** Keys by id. */
export class KeyStore {
  readonly #directory: string
  readonly #tpm: TpmKeys
  /** Keys that the TPM has taken once; a key found useless is not asked for again. */
  readonly #accepted = new Map<string, boolean>()

  /**
   * @param directory Of the wrapped keys.
   * @param tpm What made them.
   */
  constructor(directory: string, tpm: TpmKeys) {
    this.#directory = directory
    this.#tpm = tpm
  }

  /**
   * Makes a key, in place of the one that had its id.
   *
   * @param id Any text.
   * @param type Of the key.
   * @returns The key.
   * @throws {RpcError} `UNIMPLEMENTED`: TPMs make no such keys. As {@link TpmKeys.make}.
   */
  async generate(id: string, type: KeyTypeName): Promise<ManagedKey> {
    const wanted = TYPES[type]
    if (wanted === undefined) {
      throw new RpcError('UNIMPLEMENTED', `${type} keys are made by no TPM: expected EC_P256, EC_P384 or RSA_2048`)
    }
    const key = { id, type, wrapped: await this.#tpm.make(wanted) }
    await writeKey(this.#directory, key)
    const shown = managed(key)
    this.#accepted.set(shown.fingerprint, true)
    return shown
  }

  /**
   * Lists the keys that this TPM can use. Others, as of a copied disk, are warned of and left out, so that the agent
   * attests anew and gets keys of its own.
   *
   * @param log Told of files that are of no use.
   * @returns Keys.
   * @throws As {@link TpmKeys.accepts}.
   */
  async list(log: Logger): Promise<readonly ManagedKey[]> {
    const { keys, broken } = await readKeys(this.#directory)
    for (const file of broken) log.warn('File holds no key', { directory: this.#directory, file })
    const usable: ManagedKey[] = []
    for (const key of keys) {
      const shown = managed(key)
      if (await this.#isUsable(key, shown.fingerprint, log)) usable.push(shown)
    }
    return usable
  }

  /**
   * Signs a digest.
   *
   * @param request Of SPIRE.
   * @returns The signature; `undefined` when there is no such key.
   * @throws {RpcError} `UNIMPLEMENTED`: the hash or the salt is none of the TPM's. As {@link TpmKeys.sign}.
   */
  async sign(request: SignRequest): Promise<Signed | undefined> {
    const { keys } = await readKeys(this.#directory)
    const key = keys.find(({ id }) => id === request.keyId)
    if (key === undefined) return undefined
    const hashAlg = HASHES[request.hash]
    if (hashAlg === undefined) {
      throw new RpcError(
        'UNIMPLEMENTED',
        `${request.hash} is not signed by TPMs: expected ${Object.keys(HASHES).join(', ')}`,
      )
    }
    const signature = await this.#tpm.sign(key.wrapped, request.data, schemeOf(key.type, request), hashAlg)
    return { signature, keyFingerprint: managed(key).fingerprint }
  }

  /** Lets the TPM go. */
  close(): Promise<void> {
    return this.#tpm.close()
  }

  async #isUsable(key: StoredKey, fingerprint: string, log: Logger): Promise<boolean> {
    const known = this.#accepted.get(fingerprint)
    if (known !== undefined) return known
    const accepted = await this.#tpm.accepts(key.wrapped)
    this.#accepted.set(fingerprint, accepted)
    if (!accepted) {
      const next = 'the agent attests anew; remove the file when this machine is the right one'
      log.warn('Key is of another TPM, or of this one before it was cleared', { key_id: key.id, next })
    }
    return accepted
  }
}

/** Picks the scheme. TPMs salt with as many bytes as the digest has; SPIRE asks for that by the number, or by 0 or -1 of Go. */
function schemeOf(type: KeyTypeName, { pssSaltLength, data }: SignRequest): SigningScheme {
  if (type.startsWith('EC_')) return 'ecdsa'
  if (pssSaltLength === undefined) return 'rsassa'
  if (![0, -1, data.length].includes(pssSaltLength)) {
    throw new RpcError('UNIMPLEMENTED', `a salt of ${pssSaltLength} bytes is not made by TPMs: expected ${data.length}`)
  }
  return 'rsapss'
}

function managed({ id, type, wrapped }: StoredKey): ManagedKey {
  const pkixData = parseTpm2bPublic(wrapped.publicArea).key.export({ type: 'spki', format: 'der' })
  return { id, type, pkixData, fingerprint: createHash('sha256').update(pkixData).digest('hex') }
}
