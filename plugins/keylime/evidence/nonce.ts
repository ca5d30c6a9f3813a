/**
 * Nonces: fresh text that every Keylime agent and every TPM accepts as qualifying data.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const NONCE_LENGTH = 32
// What a Keylime agent takes (ASCII here; it takes Unicode letters too). A Go server half sends 32 of A-Z2-7.
const QUOTABLE = /^[A-Za-z0-9]{1,64}$/

/**
 * Makes a nonce for one attestation: 160 bits from the CSPRNG.
 *
 * Thirty-two characters fit the 34 bytes of qualifying data that a SHA-256-only TPM takes.
 *
 * @returns 32 characters of `A-Z2-7`.
 * @see rust-keylime 3a4d5654, keylime-agent/src/quotes_handler.rs and keylime/src/tpm.rs (alphanumeric, at most 64 bytes)
 */
export function newNonce(): string {
  let nonce = ''
  // 256 is a multiple of 32, so the low five bits of a byte are uniform.
  for (const byte of randomBytes(NONCE_LENGTH)) nonce += ALPHABET.charAt(byte & 31)
  return nonce
}

/**
 * Tells whether a Keylime agent would quote over a text.
 *
 * @param text Any text.
 * @returns True for 1-64 ASCII letters and digits.
 */
export function isQuotableNonce(text: string): boolean {
  return QUOTABLE.test(text)
}
