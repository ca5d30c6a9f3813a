/**
 * What the verifier's webhook says: nothing but which agent to look at is taken from it.
 *
 * @see keylime 9b1f6e6a, keylime/revocation_notifier.py, `notify_webhook`
 * @module
 */
import { type AgentId, isAgentId } from '@tower-of-omens/keylime'

/** Larger bodies are none of Keylime's. */
export const MAX_RING_BYTES = 65_536

/**
 * Reads which agent a notification is about.
 *
 * @param body The body of the request.
 * @returns The agent's ID, or undefined when the body is no notification.
 */
export function ringOf(body: string): AgentId | undefined {
  const outer = jsonObject(body)
  // The signed message is text within the JSON; releases without a signature send it bare.
  const inner = typeof outer?.['msg'] === 'string' ? jsonObject(outer['msg']) : outer
  const agentId = inner?.['agent_id']
  return typeof agentId === 'string' && isAgentId(agentId) ? agentId : undefined
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}
