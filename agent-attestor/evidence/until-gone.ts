/**
 * Waiting for an answer no longer than the SPIRE agent does.
 *
 * @module
 */
import { KeylimeError, untilAborted } from '@tower-of-omens/keylime'

/**
 * Waits for an answer.
 *
 * @param signal The call's; ends the wait, not the work.
 * @param answer What to wait for.
 * @returns Its value.
 * @throws {KeylimeError} `KEYLIME_CANCELLED`: the signal aborted.
 */
export function untilGone<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  return untilAborted(signal, answer, () => new KeylimeError('KEYLIME_CANCELLED', 'spire agent gave up'))
}
