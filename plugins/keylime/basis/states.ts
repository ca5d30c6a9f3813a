/**
 * What the numbers of `operational_state` stand for: every reading of a verifier's record of an agent begins here.
 *
 * @module
 * @see keylime 9b1f6e6a, keylime/common/states.py
 */

/**
 * What a state tells of an agent.
 *
 * `polled`: its quotes pass. `pending`: nothing is known yet, or not any more. `failed`: polling has stopped, for a
 * failure or because the agent did not answer; the last event tells which. `rejected`: a quote or a measurement does
 * not fit. `stopped`: an operator, or the tenant, ended it; no reactivation leaves this state.
 */
export type StateMeaning = 'polled' | 'pending' | 'failed' | 'rejected' | 'stopped'

/** One state of an agent. */
export interface AgentState {
  /** Keylime's own name. */
  readonly name: string
  readonly meaning: StateMeaning
}

// A verifier never stores 0, 2, 4 and 6: what it never stores is not taken for good.
const STATES: readonly AgentState[] = [
  { name: 'REGISTERED', meaning: 'pending' },
  { name: 'START', meaning: 'pending' },
  { name: 'SAVED', meaning: 'pending' },
  { name: 'GET_QUOTE', meaning: 'polled' },
  { name: 'GET_QUOTE_RETRY', meaning: 'pending' },
  { name: 'PROVIDE_V', meaning: 'polled' },
  { name: 'PROVIDE_V_RETRY', meaning: 'pending' },
  { name: 'FAILED', meaning: 'failed' },
  { name: 'TERMINATED', meaning: 'pending' },
  { name: 'INVALID_QUOTE', meaning: 'rejected' },
  { name: 'TENANT_FAILED', meaning: 'stopped' },
]

/**
 * Looks up what a state stands for.
 *
 * @param state `operational_state`; null for an agent in push mode.
 * @returns Undefined for a number that Keylime does not have.
 */
export function agentState(state: number | null): AgentState | undefined {
  return state === null ? undefined : STATES[state]
}

/**
 * Writes a state for a person.
 *
 * @param state `operational_state`.
 * @returns Such as `7 FAILED`; the number alone when Keylime does not have it.
 */
export function stateInWords(state: number | null): string {
  const name = agentState(state)?.name
  return name === undefined ? String(state) : `${String(state)} ${name}`
}
