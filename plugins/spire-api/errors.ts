/**
 * The one error of this room: what went wrong in a call to a SPIRE server.
 *
 * @module
 */

/**
 * Every kind of failure.
 *
 * `SOCKET_MISSING`: no such file, so the server is down or the path is wrong. `SOCKET_FORBIDDEN`: the file system lets us
 * not connect. `UNREACHABLE`: nobody listens, or the connection broke. `TIMEOUT`: our deadline. `DENIED`: the server's
 * authorization refuses the call. `NOT_FOUND`: it does not know the agent or entry. `PRECONDITION`: its state does not
 * allow the call. `FAILED`: it answered with another status. `BAD_ANSWER`: the answer breaks the contract. `CANCELLED`:
 * the caller's signal aborted.
 */
export type SpireApiErrorCode =
  | 'SPIRE_SOCKET_MISSING'
  | 'SPIRE_SOCKET_FORBIDDEN'
  | 'SPIRE_UNREACHABLE'
  | 'SPIRE_TIMEOUT'
  | 'SPIRE_DENIED'
  | 'SPIRE_NOT_FOUND'
  | 'SPIRE_PRECONDITION'
  | 'SPIRE_FAILED'
  | 'SPIRE_BAD_ANSWER'
  | 'SPIRE_CANCELLED'

/** A failed call. The message names the server's socket, what was found and what to do next. */
export class SpireApiError extends Error {
  override readonly name = 'SpireApiError'
  readonly code: SpireApiErrorCode

  /**
   * @param code The kind of failure.
   * @param message Lower case, no final period.
   * @param options `cause`: the error below, for the log.
   */
  constructor(code: SpireApiErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
  }
}

/**
 * Tells whether a thrown value is a {@link SpireApiError}, of one code when given.
 *
 * @param error Anything thrown.
 * @param code Also require this code.
 * @returns True only for a `SpireApiError` (with that code).
 */
export function isSpireApiError(error: unknown, code?: SpireApiErrorCode): error is SpireApiError {
  return error instanceof SpireApiError && (code === undefined || error.code === code)
}
