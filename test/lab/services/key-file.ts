/**
 * The file in which a Keylime agent keeps its attestation key, as text.
 *
 * @see rust-keylime 3a4d5654, keylime/src/agent_data.rs
 * @module
 */
import type { WrappedKey } from '@tower-of-omens/tpm/commands'

/**
 * Writes out the file.
 *
 * @param key The key, wrapped by its TPM.
 * @param ekHash SHA-256 of the EK's PEM, hex.
 */
export function keyFileText({ publicArea, privateArea }: WrappedKey, ekHash: string): string {
  return JSON.stringify({
    ak_hash_alg: 'Sha256',
    ak_sign_alg: 'RsaSsa',
    ak_public: [...publicArea.subarray(2)],
    ak_private: [...privateArea.subarray(2)],
    ek_hash: [...Buffer.from(ekHash)],
  })
}
