/**
 * What an attestation comes to: the gate's decision, and the error that ends an attestation otherwise.
 *
 * @module
 */
import { type ErrorCode, type MessageFacts, messageOf } from './catalogue/catalogue.ts'

/** One reason: a code and its filled message. */
export interface Reason<C extends ErrorCode = ErrorCode> {
  readonly code: C
  /** One line that follows `keylime agent <id>: `. */
  readonly message: string
}

/** Reasons, the deciding one first. */
export type Reasons = readonly [Reason, ...Reason[]]

/** The gate's answer: `refuse` is a verdict on the node, `not-yet` may change by itself. */
export type Decision =
  | { readonly kind: 'admit' }
  | {
      readonly kind: 'refuse' | 'not-yet'
      /** Every reason there is. */
      readonly reasons: Reasons
    }

/** Facts for the log; never a quote, nonce, key or response body. */
export type LogFacts = Readonly<Record<string, string | number | boolean>>

/** Why an attestation is refused, put off or failed on our own account; the catalogue's entry gives the status. */
export class AttestError extends Error {
  override readonly name = 'AttestError'
  /** The reason that decides the status. */
  readonly code: ErrorCode
  readonly reasons: Reasons
  readonly facts: LogFacts

  /**
   * @param reasons All reasons, the deciding one first.
   * @param options `cause`: the error below, for the log. `facts`: log fields.
   */
  constructor(reasons: Reasons, options: { readonly cause?: unknown; readonly facts?: LogFacts } = {}) {
    super(inWords(reasons), 'cause' in options ? { cause: options.cause } : undefined)
    this.code = reasons[0].code
    this.reasons = reasons
    this.facts = options.facts ?? {}
  }
}

/**
 * Makes a reason.
 *
 * @param code A code of the catalogue.
 * @param facts A value for each placeholder of its message.
 * @returns The code with its message filled.
 */
export function reasonFor<C extends ErrorCode>(code: C, facts: MessageFacts<C>): Reason<C> {
  return { code, message: messageOf(code, facts) }
}

/**
 * Makes an error of one reason.
 *
 * @param code A code of the catalogue.
 * @param facts A value for each placeholder of its message.
 * @param options `cause` and `facts` for the log.
 * @returns The error, to be thrown.
 */
export function attestError<C extends ErrorCode>(
  code: C,
  facts: MessageFacts<C>,
  options: { readonly cause?: unknown; readonly facts?: LogFacts } = {},
): AttestError {
  return new AttestError([reasonFor(code, facts)], options)
}

/**
 * Writes reasons in one line, each followed by its code.
 *
 * @param reasons Any number of them.
 * @returns Such as `no time [KL-GATE-NEVER]; state 7 [KL-GATE-FAILED]`.
 */
export function inWords(reasons: readonly Reason[]): string {
  return reasons.map(({ code, message }) => `${message} [${code}]`).join('; ')
}
