/**
 * The local proof: a quote string, taken apart and checked against our nonce and the registrar's keys.
 *
 * The checks that need no record come first and alone, so that an unproven caller costs no remote request.
 *
 * @see rust-keylime 3a4d5654, keylime/src/tpm.rs (what makes the quote); keylime 9b1f6e6a, keylime/tpm/tpm_util.py
 * @module
 */
import { timingSafeEqual } from 'node:crypto'
import {
  describeSelections,
  digest,
  extendFromReset,
  type HashAlg,
  type PcrBlob,
  parseAttest,
  parsePcrBlob,
  parseSignature,
  pcrDigestOf,
  type QuoteAttest,
  TpmError,
  type TpmSignature,
  verifySignature,
} from '@tower-of-omens/tpm'
import { KeylimeError } from '../basis/errors.ts'
import type { Evidence } from './evidence.ts'
import { type RegisteredRecord, registeredKeys } from './registered-keys.ts'
import { rejectedQuote } from './rejected-quote.ts'

/** A quote string's three parts, parsed. */
export interface ParsedQuote {
  /** What the AK signed, as received. */
  readonly attestBytes: Buffer
  readonly attest: QuoteAttest
  readonly signature: TpmSignature
  readonly pcrs: PcrBlob
}

/** The facts a quote must be bound to. */
export interface QuoteBinding {
  /** The nonce of this attestation, and of no other. */
  readonly nonce: string
  /** The hash the payload announced: of the signature and of the PCR bank. */
  readonly hashAlg: HashAlg
  readonly allowedHashAlgs: readonly HashAlg[]
  /** The agent's public key PEM, when it was sent. */
  readonly pubkey?: string | undefined
}

// The Keylime agent resets it and extends it with its public key for every quote.
const KEY_PCR = 16
// The largest quote of these structures, signed with RSA-4096, takes under 2 KiB.
const MAX_QUOTE_CHARS = 4096
const PARTS = ['attest', 'signature', 'pcr'] as const

/**
 * Parses Keylime's quote string: `r`, then attest, signature and PCR values in padded base64, joined by `:`.
 *
 * @param text Untrusted text.
 * @returns The parts; nothing is proved yet.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: another form, other than three parts, or a structure that does not parse.
 */
export function parseQuote(text: string): ParsedQuote {
  if (text.length > MAX_QUOTE_CHARS) {
    throw bad(`quote is too long: expected at most ${MAX_QUOTE_CHARS} characters, found ${text.length}`)
  }
  if (!text.startsWith('r')) throw bad('quote does not begin with "r"')
  const parts = text.slice(1).split(':')
  if (parts.length !== PARTS.length) throw bad(`quote has ${parts.length} parts, expected ${PARTS.length}`)
  const [attestBytes, signature, pcrs] = PARTS.map((name, index) => fromBase64(name, parts[index] ?? ''))
  if (attestBytes === undefined || signature === undefined || pcrs === undefined) throw bad('quote lacks a part')
  try {
    return {
      attestBytes,
      attest: parseAttest(attestBytes),
      signature: parseSignature(signature),
      pcrs: parsePcrBlob(pcrs),
    }
  } catch (error) {
    if (!(error instanceof TpmError)) throw error
    throw new KeylimeError('KEYLIME_BAD_MESSAGE', `quote does not parse: ${error.message}`, { cause: error })
  }
}

/**
 * Checks all that needs no key: hash, nonce, PCR 16 alone, the PCR values behind the signed digest, and the agent's
 * public key in PCR 16 when it was sent. Cheap, and done before any remote request.
 *
 * @param quote A parsed quote.
 * @param binding What it must be bound to.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: the first check that failed.
 */
export function checkQuoteBinding(quote: ParsedQuote, binding: QuoteBinding): void {
  const { attest, pcrs } = quote
  const { hashAlg, nonce, pubkey } = binding
  const mismatch = signatureMismatch(quote, binding)
  if (mismatch !== undefined) throw rejectedQuote(mismatch)
  if (!isEqual(attest.extraData, Buffer.from(nonce))) throw rejectedQuote('nonce differs')
  const selection = `${hashAlg}:${KEY_PCR}`
  requireText('quoted pcr selection', selection, describeSelections(attest.selections))
  requireText('pcr values selection', selection, describeSelections([pcrs.selection]))
  if (!isEqual(attest.pcrDigest, pcrDigestOf(hashAlg, pcrs))) {
    throw rejectedQuote('pcr values differ from the quoted digest')
  }
  if (pubkey === undefined) return
  const expected = extendFromReset(hashAlg, digest(hashAlg, Buffer.from(pubkey)))
  const found = pcrs.values[0]
  if (found === undefined || !isEqual(found, expected)) {
    throw rejectedQuote('pcr 16 does not hold the public key of the keylime agent')
  }
}

/**
 * Proves that the TPM whose keys the registrar holds made this quote over our nonce.
 *
 * Returns nothing: a result that is forgotten cannot pass for a proof.
 *
 * @param evidence What the caller sent, and our nonce.
 * @param record The registrar's record for the claimed agent ID.
 * @param policy The hash algorithms in favour.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: the quote does not parse. `KEYLIME_QUOTE_REJECTED`: a check failed.
 *   `KEYLIME_BAD_RESPONSE`: the record is another agent's or its keys are unusable.
 */
export function verifyQuote(
  evidence: Evidence,
  record: RegisteredRecord,
  policy: { readonly allowedHashAlgs: readonly HashAlg[] },
): void {
  const quote = parseQuote(evidence.quote)
  checkQuoteBinding(quote, { ...evidence, ...policy })
  requireSigner(quote, record, evidence.agentId)
}

/**
 * Finds out whether a quote is signed with the hash that was announced, and with one in favour.
 *
 * @param quote A parsed quote.
 * @param hashes The payload's, and those in favour.
 * @returns What does not fit, or nothing.
 */
export function signatureMismatch(
  { signature }: ParsedQuote,
  { hashAlg, allowedHashAlgs }: Pick<QuoteBinding, 'hashAlg' | 'allowedHashAlgs'>,
): string | undefined {
  if (!allowedHashAlgs.includes(hashAlg)) {
    return `hash algorithm ${hashAlg} is not allowed, expected one of ${allowedHashAlgs.join(', ')}`
  }
  return signature.hashAlg === hashAlg ? undefined : `signature hash is ${signature.hashAlg}, expected ${hashAlg}`
}

/**
 * Requires that the registered attestation key, under the registered endorsement key, signed a quote.
 *
 * @param quote A parsed quote.
 * @param record The registrar's record.
 * @param agentId Whose record it must be.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: another key signed. `KEYLIME_BAD_RESPONSE`: the record is another
 *   agent's or its keys are unusable.
 */
export function requireSigner(quote: ParsedQuote, record: RegisteredRecord, agentId: string): void {
  if (record.agentId !== agentId) {
    throw new KeylimeError('KEYLIME_BAD_RESPONSE', `keylime registrar sent another record than that of ${agentId}`)
  }
  const { ak, qualifiedSigner } = registeredKeys(record)
  if (ak.scheme.hashAlg !== quote.signature.hashAlg) {
    throw rejectedQuote(`signature hash is ${quote.signature.hashAlg}, expected the AK's ${ak.scheme.hashAlg}`)
  }
  if (!verifySignature(ak, quote.signature, quote.attestBytes)) {
    throw rejectedQuote('signature is not by the registered AK')
  }
  if (!isEqual(quote.attest.qualifiedSigner, qualifiedSigner)) {
    throw rejectedQuote('signer is not the registered AK under the registered EK')
  }
}

function fromBase64(name: string, text: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === 0 || bytes.toString('base64') !== text) throw bad(`quote part ${name} is not padded base64`)
  return bytes
}

function requireText(what: string, expected: string, found: string): void {
  if (found !== expected) throw rejectedQuote(`${what} is ${found}, expected ${expected}`)
}

/** Lengths are public; contents are compared in constant time. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function bad(text: string): KeylimeError {
  return new KeylimeError('KEYLIME_BAD_MESSAGE', text)
}
