/**
 * The quote behind a push-mode verifier's verdict, verified by ourselves with the same strictness as a live one: so that
 * the verdict is tied to the registered TPM and not to a row of a database.
 *
 * @see keylime 9b1f6e6a, keylime/models/verifier/attestation.py, evidence.py
 * @module
 */
import { timingSafeEqual } from 'node:crypto'
import { describeSelections, type PcrSelection, pcrDigestOf } from '@tower-of-omens/tpm'
import { isKeylimeError } from '../basis/errors.ts'
import { parseQuote, requireSigner } from './quote.ts'
import type { RegisteredRecord } from './registered-keys.ts'
import { rejectedQuote } from './rejected-quote.ts'

/** A TPM quote of an attestation, as the verifier stores it; every text is base64. */
export interface JudgedQuote {
  /** TPMS_ATTEST. */
  readonly message: string
  /** TPMT_SIGNATURE. */
  readonly signature: string
  /** PCR values. */
  readonly subjectData: string
  /** What the verifier asked to have signed. */
  readonly challenge: string
}

// A verifier makes 16 bytes; fewer would be no challenge.
const LEAST_CHALLENGE_BYTES = 16
const WHAT = 'judged quote'

/**
 * Verifies the quote.
 *
 * @param quote As the verifier stores it.
 * @param record The registrar's record of the agent.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: it was not made by the registered TPM over the verifier's challenge.
 *   `KEYLIME_BAD_RESPONSE`: the record's keys are unusable.
 */
export function verifyJudgedQuote(quote: JudgedQuote, record: RegisteredRecord): void {
  const parsed = parsedOf(quote)
  const challenge = Buffer.from(quote.challenge, 'base64')
  if (challenge.length < LEAST_CHALLENGE_BYTES || challenge.toString('base64') !== quote.challenge) {
    throw rejectedQuote('its challenge is none', WHAT)
  }
  const { attest, pcrs, signature } = parsed
  if (!isEqual(attest.extraData, challenge)) throw rejectedQuote('it does not sign its challenge', WHAT)
  const [quoted, values] = [describeSelections(attest.selections.filter(hasPcrs)), describeSelections([pcrs.selection])]
  if (quoted !== values) throw rejectedQuote(`it signs PCRs ${quoted}, and values of ${values} are beside it`, WHAT)
  if (!isEqual(attest.pcrDigest, pcrDigestOf(signature.hashAlg, pcrs))) {
    throw rejectedQuote('pcr values differ from the quoted digest', WHAT)
  }
  try {
    requireSigner(parsed, record, record.agentId)
  } catch (error) {
    if (!isKeylimeError(error, 'KEYLIME_QUOTE_REJECTED')) throw error
    throw rejectedQuote(String(error.facts['reason']), WHAT)
  }
}

function parsedOf({ message, signature, subjectData }: JudgedQuote): ReturnType<typeof parseQuote> {
  try {
    return parseQuote(`r${[message, signature, subjectData].join(':')}`)
  } catch (error) {
    if (!isKeylimeError(error, 'KEYLIME_BAD_MESSAGE')) throw error
    throw rejectedQuote(error.message, WHAT)
  }
}

function hasPcrs({ pcrs }: PcrSelection): boolean {
  return pcrs.length > 0
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
