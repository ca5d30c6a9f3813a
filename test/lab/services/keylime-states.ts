/**
 * What the verifier's `operational_state` numbers mean.
 *
 * @see keylime 7.14.3, common/states.py
 * @module
 */

/** The numbers that a test waits for. */
export const STATE = { getQuote: 3, provideV: 5, failed: 7, invalidQuote: 9, stopped: 10 } as const

/** States of an agent whose quotes pass. */
export const PASSING: readonly (number | null | undefined)[] = [STATE.getQuote, STATE.provideV]

/** States of an agent that is not polled and may be reactivated. */
export const GIVEN_UP: readonly (number | null | undefined)[] = [STATE.failed, STATE.invalidQuote]
