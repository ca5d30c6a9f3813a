/**
 * The error of asking a certificate authority: every kind means "later", and the old files stay in force.
 *
 * @module
 */
import { EXIT } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'

/**
 * Every kind of failure.
 *
 * `TK-PKI-SEALED`: OpenBao or Vault is sealed or not initialised. `TK-PKI-AWAY`: nobody answers, or TLS fails.
 * `TK-PKI-DENIED`: it does not take our login, or our login may not do this. `TK-PKI-REFUSED`: it will not sign this
 * request. `TK-PKI-ANSWER`: what it sent is no certificate for our key.
 */
export type PkiErrorCode = 'TK-PKI-SEALED' | 'TK-PKI-AWAY' | 'TK-PKI-DENIED' | 'TK-PKI-REFUSED' | 'TK-PKI-ANSWER'

/**
 * Makes the error; its exit code is 75.
 *
 * @param code The kind.
 * @param message Lower case, no final period: who, asked for what, what he said, what to do.
 * @param cause The error below.
 * @returns The error, to be thrown.
 */
export function pkiError(code: PkiErrorCode, message: string, cause?: unknown): OperatorError {
  return new OperatorError(code, message, { exit: EXIT.tryLater, ...(cause !== undefined && { cause }) })
}
