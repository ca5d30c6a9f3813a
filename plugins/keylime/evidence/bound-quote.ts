/**
 * The local proof of a node that quotes by itself: its quote against what was asked, and against the registrar's keys.
 *
 * The activated credential is part of what the quote must sign, so one signature shows that the quote is fresh, that it
 * is meant for this attestation, and that attestation key and endorsement key share a TPM.
 *
 * @module
 */
import { timingSafeEqual } from 'node:crypto'
import { describeSelections, type HashAlg, pcrDigestOf } from '@tower-of-omens/tpm'
import type { BoundTask } from './evidence.ts'
import { type ParsedQuote, requireSigner, signatureMismatch } from './quote.ts'
import type { RegisteredRecord } from './registered-keys.ts'
import { rejectedQuote } from './rejected-quote.ts'

/**
 * Checks all that needs no record: hashes, what was signed, the PCRs, the values behind the signed digest.
 *
 * @param quote A parsed quote.
 * @param task What was asked.
 * @param hashes The payload's, and those in favour.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: the first check that failed.
 */
export function checkBoundQuote(
  quote: ParsedQuote,
  { extraData, bank, pcrs }: BoundTask,
  hashes: { readonly hashAlg: HashAlg; readonly allowedHashAlgs: readonly HashAlg[] },
): void {
  const mismatch = signatureMismatch(quote, hashes)
  if (mismatch !== undefined) throw rejectedQuote(mismatch)
  if (!isEqual(quote.attest.extraData, extraData)) {
    throw rejectedQuote('it is not bound to this attestation, or its TPM did not open the credential')
  }
  const asked = describeSelections([{ hashAlg: bank, pcrs }])
  const selections = [
    ['quoted pcr selection', quote.attest.selections],
    ['pcr values selection', [quote.pcrs.selection]],
  ] as const
  for (const [what, selected] of selections) {
    const found = describeSelections(selected)
    if (found !== asked) throw rejectedQuote(`${what} is ${found}, expected ${asked}`)
  }
  if (!isEqual(quote.attest.pcrDigest, pcrDigestOf(quote.signature.hashAlg, quote.pcrs))) {
    throw rejectedQuote('pcr values differ from the quoted digest')
  }
}

/**
 * Requires that the registered keys are the claimed ones, and that they signed a quote: with {@link checkBoundQuote} the
 * proof that the TPM whose keys the registrar holds made it for this attestation.
 *
 * @param quote Passed {@link checkBoundQuote}.
 * @param task What was asked.
 * @param record The registrar's record.
 * @param agentId Whose record it must be.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: other keys. `KEYLIME_BAD_RESPONSE`: as
 *   {@link requireSigner}.
 */
export function requireBoundSigner(
  quote: ParsedQuote,
  task: BoundTask,
  record: RegisteredRecord,
  agentId: string,
): void {
  // The credential was sealed for the claimed keys: only if they are the registered ones does it prove anything.
  if (!isEqual(record.ekTpm, task.keys.ek)) throw rejectedQuote('its EK is another than the registered one')
  if (!isEqual(record.akTpm, task.keys.ak)) throw rejectedQuote('its AK is another than the registered one')
  requireSigner(quote, record, agentId)
}

/** Lengths are public; contents are compared in constant time. */
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
