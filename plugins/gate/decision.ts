/**
 * The error by which the server half refuses or fails an attestation on its own account, with a code of the catalogue.
 *
 * @module
 */
import { type ErrorCode, type MessageFacts, messageOf } from './catalogue/catalogue.ts'

/** Is one reason: a code and its filled message. */
export interface Reason {
  readonly code: ErrorCode
  readonly message: string
}

/** Holds facts for the log; never a quote, nonce, key or response body. */
export type LogFacts = Readonly<Record<string, string | number | boolean>>

/** Says why an attestation is refused or failed; `status.ts` gives the status. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  /** The reason that decides the status. */
  readonly code: ErrorCode
  /** All reasons, the deciding one first. */
  readonly reasons: readonly [Reason, ...Reason[]]
  readonly facts: LogFacts

  /**
   * @param reasons All reasons, the deciding one first.
   * @param options `cause`: the error below, for the log. `facts`: log fields.
   */
  constructor(
    reasons: readonly [Reason, ...Reason[]],
    options: { readonly cause?: unknown; readonly facts?: LogFacts } = {},
  ) {
    super(
      reasons.map((reason) => `${reason.message} [${reason.code}]`).join('; '),
      'cause' in options ? { cause: options.cause } : undefined,
    )
    this.code = reasons[0].code
    this.reasons = reasons
    this.facts = options.facts ?? {}
  }
}

/**
 * Makes a refusal of one reason.
 *
 * @param code A code of the catalogue.
 * @param facts A value for each placeholder of its message.
 * @param options `cause` and `facts` for the log.
 * @returns The error, to be thrown.
 */
export function refusal<C extends ErrorCode>(
  code: C,
  facts: MessageFacts<C>,
  options: { readonly cause?: unknown; readonly facts?: LogFacts } = {},
): Refusal {
  return new Refusal([{ code, message: messageOf(code, facts) }], options)
}
