/**
 * The error that ends a verb: a code, one line for a person, and the exit code.
 *
 * @module
 */
import { EXIT, type ExitCode } from './exit-codes.ts'

/** A verb that cannot go on. It becomes one line on stderr, or the `error` of the JSON document. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError'
  /** Such as `TK-USAGE`. */
  readonly code: string
  readonly exit: ExitCode

  /**
   * @param code Stable, begins with `TK-`.
   * @param message Lower case, no final period: what failed, where, expected and found, what to do next.
   * @param options `exit`: default 64. `cause`: the error below.
   */
  constructor(code: string, message: string, options: { readonly exit?: ExitCode; readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.exit = options.exit ?? EXIT.usage
  }
}
