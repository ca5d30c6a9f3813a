/**
 * Keys that sign for their owner and never leave the TPM: made under the storage root key, kept wrapped outside,
 * loaded when used. Nothing is stored in the TPM.
 *
 * @module
 */
import { ecdsaDer, type HashAlg } from '@tower-of-omens/tpm'
import {
  byPassword,
  create,
  createPrimary,
  HIERARCHY,
  type LoadedKey,
  load,
  type SigningKeyType,
  type SigningScheme,
  sign,
  signingTemplate,
  storageTemplate,
  type WrappedKey,
} from '@tower-of-omens/tpm/commands'
import type { Tpm } from './tpm.ts'

/**
 * Loads the storage root key, made from its template: the same key each time until the TPM is cleared.
 *
 * @param tpm An open TPM.
 * @param secret Password of the owner hierarchy; default none.
 * @returns The key, to be flushed by the caller.
 * @throws As {@link Tpm.run}; `AUTH_FAIL`, `BAD_AUTH`: the hierarchy has another password.
 */
export function openStorageKey(tpm: Tpm, secret?: Uint8Array): Promise<LoadedKey> {
  return tpm.run(createPrimary(HIERARCHY.owner, storageTemplate(), byPassword(secret)))
}

/**
 * Makes a signing key.
 *
 * @param tpm An open TPM.
 * @param parent The storage key's handle.
 * @param type The key's type.
 * @returns The wrapped key, fit for a file: it is of use in this TPM only.
 * @throws As {@link Tpm.run}; `VALUE`: this TPM makes no keys of the type.
 */
export function makeSigningKey(tpm: Tpm, parent: number, type: SigningKeyType): Promise<WrappedKey> {
  return tpm.run(create(parent, signingTemplate(type)))
}

/**
 * Loads a signing key.
 *
 * @param tpm An open TPM.
 * @param parent The storage key's handle.
 * @param key The wrapped key.
 * @returns Its handle, to be flushed by the caller.
 * @throws As {@link Tpm.run}; `INTEGRITY`: another TPM made it, or this one was cleared since.
 */
export async function loadSigningKey(tpm: Tpm, parent: number, key: WrappedKey): Promise<number> {
  return (await tpm.run(load(parent, key))).handle
}

/**
 * Signs a digest.
 *
 * @param tpm An open TPM.
 * @param key The signing key's handle.
 * @param digest Of the size of `hashAlg`.
 * @param scheme Fits the key's type.
 * @param hashAlg The digest's hash.
 * @returns The signature as OpenSSL and Go have it: of RSA as it is, of ECDSA in DER.
 * @throws As {@link Tpm.run}.
 */
export async function signDigest(
  tpm: Tpm,
  key: number,
  digest: Uint8Array,
  scheme: SigningScheme,
  hashAlg: HashAlg,
): Promise<Buffer> {
  const signed = await tpm.run(sign(key, digest, scheme, hashAlg))
  return signed.scheme === 'ecdsa' ? ecdsaDer(signed.r, signed.s) : signed.signature
}
