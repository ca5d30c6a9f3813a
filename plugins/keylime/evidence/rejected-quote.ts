/**
 * The error of a quote that proves nothing.
 *
 * @module
 */
import { KeylimeError } from '../basis/errors.ts'

/**
 * Makes the error.
 *
 * @param reason What does not fit: expected and found, no bytes.
 * @param quote Which quote, for the message; default the identity quote.
 * @returns `KEYLIME_QUOTE_REJECTED`, with the reason as a fact.
 */
export function rejectedQuote(reason: string, quote = 'identity quote'): KeylimeError {
  return new KeylimeError('KEYLIME_QUOTE_REJECTED', `${quote} rejected: ${reason}`, { facts: { reason } })
}
