/**
 * What SPIRE is told of a failure on the node. Never `PERMISSION_DENIED`: on that a starting SPIRE agent exits at once,
 * and only the server half may judge.
 *
 * @module
 */
import { published } from '@tower-of-omens/gate'
import { RpcError } from '@tower-of-omens/spire-sdk'
import { explainTpmFailure } from './evidence/tpm-failures.ts'

/**
 * Turns an error into what SPIRE is told: a status, and one line that ends in the code.
 *
 * @param error Anything thrown by an attestation.
 * @returns The error with a status, or undefined for an unknown one: the SDK makes it `INTERNAL`, "internal error".
 */
export function toRpcError(error: unknown): RpcError | undefined {
  const told = published(explainTpmFailure(error) ?? error)
  if (told === undefined) return undefined
  const status = told.status === 'PERMISSION_DENIED' ? 'INTERNAL' : told.status
  return new RpcError(status, told.message, { cause: error })
}
