/**
 * Failures of calls to Keylime: made, and recognised, by the name of the way in which they failed.
 *
 * @module
 */
import { KeylimeError, type KeylimeErrorFacts } from './errors.ts'
import { FAILURES } from './failure-kinds.ts'

/** The name of one way of failing. */
export type FailureReason = keyof typeof FAILURES

/**
 * Makes the error for one way of failing.
 *
 * @param reason Which; decides the code and becomes the fact `reason`.
 * @param message One line, lower case, no final period, no secrets.
 * @param options `cause`: the error below. `facts`: further log fields.
 * @returns The error, not thrown.
 */
export function newFailure(
  reason: FailureReason,
  message: string,
  options: { readonly cause?: unknown; readonly facts?: KeylimeErrorFacts } = {},
): KeylimeError {
  const facts = { reason, ...options.facts }
  return new KeylimeError(FAILURES[reason].code, message, { ...options, facts })
}

/**
 * Tells which way of failing an error stands for.
 *
 * @param error Anything thrown.
 * @returns The reason, or undefined for errors that are not from a call to Keylime.
 */
export function failureReason(error: unknown): FailureReason | undefined {
  const reason = error instanceof KeylimeError ? error.facts['reason'] : undefined
  return typeof reason === 'string' && isReason(reason) ? reason : undefined
}

/** Reasons that no second request would change: there is nothing there, or no way to it. */
const DOWN: ReadonlySet<FailureReason> = new Set(['refused', 'dns', 'no-route'])

/**
 * Tells whether a failure says that the service itself cannot be reached, and not only that one request failed.
 *
 * @param error Anything thrown.
 * @returns True when connections are refused, cannot be opened in time, or have no way there.
 */
export function isServiceDown(error: unknown): boolean {
  const reason = failureReason(error)
  if (reason === undefined || !(error instanceof KeylimeError)) return false
  return DOWN.has(reason) || (reason === 'timeout' && error.facts['connected'] === false)
}

function isReason(text: string): text is FailureReason {
  return Object.hasOwn(FAILURES, text)
}
