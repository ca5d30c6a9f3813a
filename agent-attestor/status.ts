/**
 * The one table from what went wrong on the node to what SPIRE is told. Never `PERMISSION_DENIED`: on that a starting
 * SPIRE agent exits at once, and only the server half may judge.
 *
 * @module
 */
import { KeylimeError, type KeylimeErrorCode } from '@tower-of-omens/keylime'
import { RpcError, type StatusName } from '@tower-of-omens/spire-sdk'
import { explainTpmFailure } from './tpm-failures.ts'

/** Maps each failure of the Keylime room to a status; a forgotten one does not compile. */
export const STATUS_OF: Readonly<Record<KeylimeErrorCode, Exclude<StatusName, 'PERMISSION_DENIED'>>> = {
  KEYLIME_UNREACHABLE: 'UNAVAILABLE',
  KEYLIME_TIMEOUT: 'UNAVAILABLE',
  KEYLIME_UNAVAILABLE: 'UNAVAILABLE',
  KEYLIME_CLIENT_REFUSED: 'INTERNAL',
  KEYLIME_PEER_UNTRUSTED: 'INTERNAL',
  KEYLIME_AGENT_UNKNOWN: 'FAILED_PRECONDITION',
  KEYLIME_CONFLICT: 'FAILED_PRECONDITION',
  KEYLIME_API_UNSUPPORTED: 'FAILED_PRECONDITION',
  KEYLIME_BAD_RESPONSE: 'INTERNAL',
  KEYLIME_BAD_MESSAGE: 'INVALID_ARGUMENT',
  KEYLIME_QUOTE_REJECTED: 'INTERNAL',
  KEYLIME_CANCELLED: 'CANCELLED',
}

/**
 * Turns an error into what SPIRE is told.
 *
 * @param error Anything thrown by an attestation.
 * @returns The error with a status, or undefined for an unknown one: the SDK makes it `INTERNAL`, "internal error".
 */
export function toRpcError(error: unknown): RpcError | undefined {
  if (!(error instanceof KeylimeError)) return explainTpmFailure(error)
  return new RpcError(STATUS_OF[error.code], error.message, { cause: error })
}
