// Writes the file in which a Keylime agent keeps its attestation key.
import { writeFileSync } from 'node:fs'

/** What goes into the file. */
export interface KeyFileParts {
  /** TPM2B_PUBLIC and TPM2B_PRIVATE. */
  readonly publicArea: Uint8Array
  readonly privateArea: Uint8Array
  /** 64 hex digits. */
  readonly ekHash: string
}

/**
 * Words the file as rust-keylime does.
 * @returns JSON text.
 * @see rust-keylime 3a4d5654, keylime/src/agent_data.rs
 */
export function keyFileText({ publicArea, privateArea, ekHash }: KeyFileParts): string {
  return JSON.stringify({
    ak_hash_alg: 'Sha256',
    ak_sign_alg: 'RsaSsa',
    ak_public: [...publicArea.subarray(2)],
    ak_private: [...privateArea.subarray(2)],
    ek_hash: [...Buffer.from(ekHash)],
  })
}

/** Writes the file. @param path Where. @param parts The key and the EK's hash. */
export function writeKeyFile(path: string, parts: KeyFileParts): void {
  writeFileSync(path, keyFileText(parts))
}
