/**
 * Making, trying and using keys in the TPM. The connection and the storage key are kept from use to use.
 *
 * @module
 */
import type { HashAlg } from '@tower-of-omens/tpm'
import {
  flushContext,
  type SigningKeyType,
  type SigningScheme,
  TpmResponseError,
  type WrappedKey,
} from '@tower-of-omens/tpm/commands'
import {
  type Closable,
  Kept,
  loadSigningKey,
  makeSigningKey,
  openStorageKey,
  signDigest,
  Tpm,
} from '@tower-of-omens/tpm-device'

/** Which TPM, and how to use it. */
export interface TpmKeysOptions {
  readonly path: string
  /** Limit of one command. */
  readonly timeoutMs: number
  /** Password of the owner hierarchy. */
  readonly ownerAuth: Uint8Array | undefined
}

interface OpenTpm extends Closable {
  readonly tpm: Tpm
  /** Handle of the storage key. */
  readonly parent: number
}

/** The TPM as a maker and user of signing keys. */
export class TpmKeys {
  readonly #kept: Kept<OpenTpm>

  /**
   * @param options See `TpmKeysOptions`.
   */
  constructor(options: TpmKeysOptions) {
    this.#kept = new Kept(() => openWithParent(options))
  }

  /**
   * Opens the TPM and loads its storage key, if they are not.
   *
   * @throws {TpmDeviceError} The TPM cannot be reached. @throws {TpmResponseError} It refuses, as with a wrong password.
   */
  async check(): Promise<void> {
    await this.#kept.use(async () => undefined)
  }

  /**
   * Makes a key.
   *
   * @param type Its type.
   * @returns The key, wrapped.
   * @throws As {@link check}; `VALUE`: this TPM makes no keys of the type.
   */
  make(type: SigningKeyType): Promise<WrappedKey> {
    return this.#kept.use(({ tpm, parent }) => tpm.inTurn(() => makeSigningKey(tpm, parent, type)))
  }

  /**
   * Tries whether this TPM takes a key.
   *
   * @param key A wrapped key.
   * @returns False for a key of another TPM, or of this one before it was cleared.
   * @throws As {@link check}.
   */
  async accepts(key: WrappedKey): Promise<boolean> {
    try {
      await this.#withKey(key, async () => undefined)
      return true
    } catch (error) {
      if (error instanceof TpmResponseError && blamesKey(error)) return false
      throw error
    }
  }

  /**
   * Signs a digest.
   *
   * @param key The wrapped key.
   * @param digest Of the size of its hash.
   * @param scheme Fits the key.
   * @param hashAlg The hash.
   * @returns The signature: of ECDSA in DER.
   * @throws As {@link check}; `INTEGRITY`: it is another TPM's key.
   */
  sign(key: WrappedKey, digest: Uint8Array, scheme: SigningScheme, hashAlg: HashAlg): Promise<Buffer> {
    return this.#withKey(key, (tpm, handle) => signDigest(tpm, handle, digest, scheme, hashAlg))
  }

  /** Lets the TPM go. */
  close(): Promise<void> {
    return this.#kept.close()
  }

  #withKey<Result>(key: WrappedKey, work: (tpm: Tpm, handle: number) => Promise<Result>): Promise<Result> {
    return this.#kept.use(({ tpm, parent }) =>
      tpm.inTurn(async () => {
        const handle = await loadSigningKey(tpm, parent, key)
        try {
          return await work(tpm, handle)
        } finally {
          await tpm.run(flushContext(handle))
        }
      }),
    )
  }
}

// Bits of a response code that blames a parameter, and the parameters of `Load` are the two parts of the key.
const BLAMES_PARAMETER = 0xc0

/** Tells whether `Load` failed for the key: this TPM did not wrap it, or it was damaged. */
function blamesKey({ responseCode }: TpmResponseError): boolean {
  return (responseCode & BLAMES_PARAMETER) === BLAMES_PARAMETER
}

async function openWithParent({ path, timeoutMs, ownerAuth }: TpmKeysOptions): Promise<OpenTpm> {
  const tpm = await Tpm.open({ path, timeoutMs })
  try {
    const { handle } = await openStorageKey(tpm, ownerAuth)
    const close = async (): Promise<void> => {
      // What is loaded through the resource manager goes with the connection; a bare TPM would keep it.
      await tpm.run(flushContext(handle)).catch(() => undefined)
      await tpm.close()
    }
    return { tpm, parent: handle, close }
  } catch (error) {
    await tpm.close()
    throw error
  }
}
