/**
 * What a node signs that quotes by itself: one hash that binds the quote to this attestation and to nothing else.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { HashAlg } from '@tower-of-omens/tpm'
import { pcrList, TPM_EVIDENCE } from './tpm-messages.ts'

/** Everything a quote is bound to. */
export interface Binding {
  readonly trustDomain: string
  /** The nonce of this attestation, and of no other. */
  readonly nonce: string
  readonly agentId: string
  readonly bank: HashAlg
  readonly pcrs: readonly number[]
  /** What the credential held: only the TPM of the registered keys has it. */
  readonly secret: Uint8Array
}

// A Keylime agent signs letters and digits for whoever asks it, and 16 bytes for its verifier: neither begins like this.
const DOMAIN = Buffer.of(0x01)

/**
 * Computes the extraData of a quote: 33 bytes, within the 34 that a SHA-256-only TPM takes.
 *
 * @param binding Both halves know it; the secret never travels back.
 * @returns One byte of domain and a SHA-256 digest.
 */
export function boundNonce({ trustDomain, nonce, agentId, bank, pcrs, secret }: Binding): Buffer {
  const hash = createHash('sha256')
  for (const part of [`tower-of-omens/${TPM_EVIDENCE}`, trustDomain, nonce, agentId, bank, pcrList(pcrs), secret]) {
    const bytes = Buffer.from(part)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hash.update(length).update(bytes)
  }
  return Buffer.concat([DOMAIN, hash.digest()])
}
