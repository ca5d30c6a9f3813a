/**
 * The one error of this room: what went wrong in a call to Keylime or in a message between our two halves.
 *
 * @module
 */

/**
 * The kinds of failure; each attestor's `status.ts` maps each one to a gRPC status.
 *
 * `UNREACHABLE`: refused, reset, DNS. `TIMEOUT`: our own deadline. `UNAVAILABLE`: 429 or 5xx. `CLIENT_REFUSED`: 401, 403
 * or a TLS alert about our certificate. `PEER_UNTRUSTED`: their certificate. `AGENT_UNKNOWN`: 404. `CONFLICT`: 409 to a change. `API_UNSUPPORTED`: no
 * common version, or a push-mode service. `BAD_RESPONSE`: an answer or a record that breaks Keylime's contract.
 * `BAD_MESSAGE`: bytes of the other half that do not parse. `QUOTE_REJECTED`: the local proof failed. `CANCELLED`: the
 * caller's signal aborted.
 */
export type KeylimeErrorCode =
  | 'KEYLIME_UNREACHABLE'
  | 'KEYLIME_TIMEOUT'
  | 'KEYLIME_UNAVAILABLE'
  | 'KEYLIME_CLIENT_REFUSED'
  | 'KEYLIME_PEER_UNTRUSTED'
  | 'KEYLIME_AGENT_UNKNOWN'
  | 'KEYLIME_CONFLICT'
  | 'KEYLIME_API_UNSUPPORTED'
  | 'KEYLIME_BAD_RESPONSE'
  | 'KEYLIME_BAD_MESSAGE'
  | 'KEYLIME_QUOTE_REJECTED'
  | 'KEYLIME_CANCELLED'

/** Facts for the log, snake_case keys; never a quote, nonce, key or response body. */
export type KeylimeErrorFacts = Readonly<Record<string, string | number | boolean>>

/** A failure of this room, which knows no gRPC. The message is fit for the other half; `cause` is for the log only. */
export class KeylimeError extends Error {
  override readonly name = 'KeylimeError'
  readonly code: KeylimeErrorCode
  readonly facts: KeylimeErrorFacts

  /**
   * @param code The kind of failure, which decides the status.
   * @param message Lower case, no final period; names the service or field, what was expected and found; no secrets.
   * @param options `cause`: the error below, for the log. `facts`: log fields.
   */
  constructor(
    code: KeylimeErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly facts?: KeylimeErrorFacts } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.facts = options.facts ?? {}
  }
}

/**
 * Tells whether a thrown value is a {@link KeylimeError}, of one code when given.
 *
 * @param error Anything thrown.
 * @param code Also require this code.
 * @returns True only for a `KeylimeError` (with that code).
 */
export function isKeylimeError(error: unknown, code?: KeylimeErrorCode): error is KeylimeError {
  return error instanceof KeylimeError && (code === undefined || error.code === code)
}
