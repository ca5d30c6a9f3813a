/**
 * The states of Keylime's verifier by name.
 *
 * @module
 */
import { agentState } from '@tower-of-omens/keylime'

/**
 * Names a state, with its number.
 *
 * @param state The number; null for a push-mode agent.
 * @returns Such as `get-quote (3)`.
 */
export function stateWords(state: number | null): string {
  if (state === null) return 'push'
  const name = agentState(state)?.name ?? 'UNKNOWN'
  return `${name.toLowerCase().replaceAll('_', '-')} (${state})`
}
