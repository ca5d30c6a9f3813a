/**
 * From a failure of the Keylime room to the catalogue: the code under which an operator meets it, and what to do next.
 *
 * @module
 */
import { FAILURES, failureReason, KeylimeError, type KeylimeErrorCode, oneLine } from '@tower-of-omens/keylime'
import { type CatalogueStatus, type ErrorCode, entryOf } from './catalogue/catalogue.ts'
import { AttestError } from './decision.ts'

/** The catalogue's code of each kind of failure; a forgotten one does not compile. */
export const KEYLIME_CODES = {
  KEYLIME_UNREACHABLE: 'KL-KEYLIME-UNREACHABLE',
  KEYLIME_TIMEOUT: 'KL-KEYLIME-TIMEOUT',
  KEYLIME_UNAVAILABLE: 'KL-KEYLIME-UNAVAILABLE',
  KEYLIME_CLIENT_REFUSED: 'KL-KEYLIME-REFUSED-US',
  KEYLIME_PEER_UNTRUSTED: 'KL-KEYLIME-UNTRUSTED',
  KEYLIME_AGENT_UNKNOWN: 'KL-AGENT-UNKNOWN',
  KEYLIME_CONFLICT: 'KL-KEYLIME-BAD-ANSWER',
  KEYLIME_API_UNSUPPORTED: 'KL-API-UNSUPPORTED',
  KEYLIME_BAD_RESPONSE: 'KL-KEYLIME-BAD-ANSWER',
  KEYLIME_BAD_MESSAGE: 'KL-MESSAGE-MALFORMED',
  KEYLIME_QUOTE_REJECTED: 'KL-QUOTE-REJECTED',
  KEYLIME_CANCELLED: 'KL-CANCELLED',
} as const satisfies Readonly<Record<KeylimeErrorCode, ErrorCode>>

/** A code under which a failure of the Keylime room is met. */
export type KeylimeCode = (typeof KEYLIME_CODES)[KeylimeErrorCode] | 'KL-BUSY'

/**
 * Names the code of a failure.
 *
 * @param error The failure.
 * @returns The code that its reason names, else the one of its kind.
 */
export function keylimeCode(error: KeylimeError): KeylimeCode {
  const reason = failureReason(error)
  return reason === undefined ? KEYLIME_CODES[error.code] : FAILURES[reason].published
}

/**
 * Says what to do about an error: the one place that knows.
 *
 * @param error Anything thrown by an attestation.
 * @param code Its code.
 * @returns The next step of its failure reason where it has one, else that of its code.
 */
export function nextStep(error: unknown, code: ErrorCode): string {
  const reason = error instanceof KeylimeError ? failureReason(error) : undefined
  return reason === undefined ? entryOf(code).next : FAILURES[reason].next
}

/** What the host of a plugin is told of an error. */
export interface Published {
  readonly status: CatalogueStatus
  /** One line in which each reason is followed by its code. */
  readonly message: string
}

/**
 * Writes an error for the host of a plugin.
 *
 * @param error Anything thrown by an attestation.
 * @returns Undefined for what is neither ours nor the Keylime room's: its text is not for others.
 */
export function published(error: unknown): Published | undefined {
  if (error instanceof AttestError) {
    const agentId = error.facts['agent_id']
    const subject = agentId === undefined ? '' : `keylime agent ${String(agentId)}: `
    return { status: entryOf(error.code).status, message: oneLine(subject + error.message) }
  }
  if (!(error instanceof KeylimeError)) return undefined
  const code = keylimeCode(error)
  return { status: entryOf(code).status, message: oneLine(`${error.message} [${code}]`) }
}
