/**
 * The list of agents that a verifier or a registrar knows.
 *
 * @module
 */
import { newFailure } from '../../basis/failures.ts'
import { type AgentId, isAgentId } from '../../basis/ids.ts'

/** Bound of a list of agents: 200,000 of the longest IDs. */
export const LIST_BYTES = 16 * 1024 * 1024

/**
 * Parses a list of agents.
 *
 * @param results `results` of `GET /agents/`.
 * @param who The service, for the message.
 * @returns The IDs; those that could not stand in a SPIFFE ID are left out.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: there is no list.
 */
export function parseAgentIds(results: Readonly<Record<string, unknown>>, who: string): readonly AgentId[] {
  const uuids = results['uuids']
  if (!Array.isArray(uuids)) throw newFailure('answer-shape', `${who} lists its agents without uuids`)
  // The registrar gives a flat list, the verifier each ID in a list of its own: [["id"], ["id"]].
  return uuids.flat().filter((id: unknown): id is AgentId => typeof id === 'string' && isAgentId(id))
}
