/**
 * The one error of this room.
 *
 * @module
 */

/**
 * The ways in which TPM bytes can be refused.
 *
 * `TRUNCATED`: they end too early. `TRAILING`: something follows. `MALFORMED`: a value the TPM 2.0 specification or
 * the format forbids. `UNSUPPORTED`: valid, but a type, algorithm or size this room does not read.
 */
export type TpmErrorCode = 'TPM_TRUNCATED' | 'TPM_TRAILING' | 'TPM_MALFORMED' | 'TPM_UNSUPPORTED'

/** The refusal of TPM bytes; the message names structure and field and never holds the bytes. */
export class TpmError extends Error {
  override readonly name = 'TpmError'
  readonly code: TpmErrorCode

  /**
   * @param code The kind of refusal.
   * @param message Structure and field, expected and found; lower case, no final period.
   * @param cause The error below, when OpenSSL refused a key.
   */
  constructor(code: TpmErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}
