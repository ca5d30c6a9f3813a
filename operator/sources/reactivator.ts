/**
 * The one command that the daemon may give Keylime, where recovery is configured: begin anew with a host.
 *
 * Loaded only then: a daemon without recovery holds nothing that could change anything at Keylime.
 *
 * @module
 */
import { type AgentId, isKeylimeError } from '@tower-of-omens/keylime'
import type { Services } from '../site/services.ts'
import { openKeylimeAdmin } from './admin.ts'

/** Whoever has verifiers begin anew. */
export interface Reactivator extends AsyncDisposable {
  /**
   * Has the verifier that knows a host begin anew with it.
   *
   * @throws {KeylimeError} No verifier knows it, or the one that does refuses.
   */
  reactivate(agentId: AgentId): Promise<void>
}

/**
 * Opens it, with connections of its own.
 *
 * @param services How the verifiers are reached.
 * @param timeoutMs Limit of one request.
 * @returns Nothing but the one command.
 * @throws {OperatorError} `TK-CONF-ABSENT`: no client certificate, or it cannot be used.
 */
export function openReactivator(services: Services, timeoutMs: number): Reactivator {
  const admin = openKeylimeAdmin(services, timeoutMs)
  return {
    reactivate: async (agentId) => {
      let unknown: unknown
      for (const verifier of admin.verifiers) {
        try {
          await verifier.admin.reactivate(agentId)
          return
        } catch (error) {
          if (!isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) throw error
          unknown = error
        }
      }
      throw unknown
    },
    [Symbol.asyncDispose]: () => admin[Symbol.asyncDispose](),
  }
}
