/**
 * Host service AgentStore: is this agent known already? The means to "trust on first use".
 *
 * @module
 */
import { AgentStoreService } from '../gen/spire/hostservice/server/agentstore/v1/agentstore.ts'
import { RpcError } from '../wire/rpc-error.ts'
import type { HostCall, HostCallOptions } from './host-call.ts'

/** The agents SPIRE Server has attested. */
export interface AgentStore {
  /**
   * Asks whether an agent is attested. A banned one counts.
   *
   * @param spiffeId SPIFFE ID of the agent.
   * @param options Bound of the call.
   * @returns True when SPIRE knows it.
   * @throws {RpcError} `FAILED_PRECONDITION`: SPIRE is still loading its plugins. Otherwise the host's own status.
   */
  hasAgent(spiffeId: string, options?: HostCallOptions): Promise<boolean>
}

/**
 * Makes the AgentStore client.
 *
 * @param call Calls the host.
 * @returns Client.
 */
export function newAgentStore(call: HostCall): AgentStore {
  return {
    async hasAgent(agentId, options) {
      try {
        await call(AgentStoreService.getAgentInfo, { agentId }, options)
        return true
      } catch (error) {
        if (error instanceof RpcError && error.status === 'NOT_FOUND') return false
        throw error
      }
    },
  }
}
