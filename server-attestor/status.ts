/**
 * The one table from what went wrong to what SPIRE is told. A starting SPIRE agent exits at once on `PERMISSION_DENIED`.
 *
 * @module
 */

import { AttestError, type ErrorCode, entryOf, keylimeCode, published } from '@tower-of-omens/gate'
import type { AgentId } from '@tower-of-omens/keylime'
import { FAILURES, failureReason, KeylimeError, oneLine } from '@tower-of-omens/keylime'
import { RpcError } from '@tower-of-omens/spire-sdk'

/**
 * Names the catalogue's code of an error.
 *
 * @param error Anything thrown by an attestation.
 * @returns Its code; `KL-INTERNAL` for what this half does not know.
 */
export function codeOf(error: unknown): ErrorCode {
  if (error instanceof AttestError) return error.code
  if (error instanceof KeylimeError) return keylimeCode(error)
  if (error instanceof RpcError && error.status === 'INVALID_ARGUMENT') return 'KL-MESSAGE-MALFORMED'
  if (error instanceof RpcError && error.status === 'CANCELLED') return 'KL-CANCELLED'
  return 'KL-INTERNAL'
}

/**
 * Turns an error into what SPIRE is told: a status, and one line in which each reason is followed by its code.
 *
 * @param error Anything thrown by an attestation or by Configure.
 * @returns The error with a status, or undefined for an unknown one: the SDK makes it `INTERNAL`, "internal error".
 */
export function toRpcError(error: unknown): RpcError | undefined {
  const told = published(error)
  if (told !== undefined) return new RpcError(told.status, told.message, { cause: error })
  // The SDK's own, about messages that are too large or missing.
  if (error instanceof RpcError && error.status === 'INVALID_ARGUMENT') {
    return new RpcError(error.status, oneLine(`${error.message} [KL-MESSAGE-MALFORMED]`), { cause: error })
  }
  return undefined
}

/**
 * Takes out of an error what a caller must not learn before its quote is proved: which host holds the ID, where Keylime
 * is, and which certificate we show there. The log has all of it.
 *
 * @param error Anything thrown before the proof, or by it.
 * @param agentId Whom the caller claims to be, once that was read.
 * @returns An error of the same code whose message says what failed and names no host; other errors as they are.
 */
export function forUnproven(error: unknown, agentId?: AgentId): unknown {
  if (!(error instanceof KeylimeError)) return error
  const { code, facts } = error
  if (code === 'KEYLIME_BAD_MESSAGE' || code === 'KEYLIME_CANCELLED') return error
  if (code !== 'KEYLIME_QUOTE_REJECTED') return new KeylimeError(code, failureInBrief(error, agentId), { cause: error })
  if (facts['registered_at'] === undefined) return error
  const why = String(facts['reason'] ?? 'it does not fit')
  const where = "the SPIRE server's log names the host that is registered under this agent id"
  return new KeylimeError(code, `identity quote rejected: ${why}; ${where}`, { cause: error })
}

// Only the registrar is asked before the proof.
function failureInBrief(error: KeylimeError, agentId: AgentId | undefined): string {
  const reason = failureReason(error)
  const what = reason === undefined ? entryOf(keylimeCode(error)).message : FAILURES[reason].meaning
  const status = error.facts['http_status']
  const about = agentId === undefined ? '' : `, asked for agent ${agentId}`
  const http = typeof status === 'number' ? ` (HTTP ${status})` : ''
  return `keylime registrar${about}: ${what}${http}; the SPIRE server's log says more`
}
