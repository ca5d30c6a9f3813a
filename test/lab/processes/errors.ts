/**
 * The rig's one error: what failed, why, and the log file that says more.
 *
 * @module
 */

/** Carries one line an operator can act on, and the log file behind it. */
export class RigError extends Error {
  override readonly name = 'RigError'
  readonly logFile: string | undefined

  /**
   * @param message What failed, what was expected and found, what to do next; lower case, no final period.
   * @param options `logFile`: absolute path of the log that holds the rest; `cause`: the error underneath.
   */
  constructor(message: string, options: { readonly logFile?: string | undefined; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.logFile = options.logFile
  }
}

/** Says what an unknown throw was about, in one line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
