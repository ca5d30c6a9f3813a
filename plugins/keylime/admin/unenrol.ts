/**
 * The whole way out of a verifier: stop, wait, delete, wait.
 *
 * @module
 */

import type { AgentRecord } from '../api/v2/agent-record.ts'
import type { VerifierClient } from '../api/verifier-client.ts'
import { isKeylimeError } from '../basis/errors.ts'
import { newFailure } from '../basis/failures.ts'
import type { AgentId } from '../basis/ids.ts'
import { sleep } from '../basis/signals.ts'
import { agentState } from '../basis/states.ts'
import type { VerifierAdmin } from './verifier-admin.ts'

/** What unenrolling takes. */
export interface UnenrolOptions {
  /** Reads the record. */
  readonly verifier: VerifierClient
  /** Changes it; the same verifier. */
  readonly admin: VerifierAdmin
  /** Ends the wait; give it a time limit. */
  readonly signal: AbortSignal
  /** Milliseconds between two looks; default 200. */
  readonly intervalMs?: number
}

/**
 * Stops and removes an agent; done when the verifier no longer knows it.
 *
 * @param agentId The agent; one that is not enrolled is no failure.
 * @param options Verifier and time limit.
 * @returns Whether it was enrolled.
 * @throws {KeylimeError} As {@link VerifierAdmin}; `KEYLIME_TIMEOUT`: the signal ended the wait.
 */
export async function unenrol(agentId: AgentId, options: UnenrolOptions): Promise<boolean> {
  const { admin, signal } = options
  if ((await recordOf(agentId, options)) === undefined) return false
  // Stopped first: a record deleted while a quote is in flight goes on being polled with its old policy.
  await admin.stop(agentId, { signal })
  await until(agentId, 'stop polling it', hasStopped, options)
  await admin.delete(agentId, { signal }).catch((error: unknown) => {
    if (!isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) throw error
  })
  await until(agentId, 'forget it', (record) => record === undefined, options)
  return true
}

function hasStopped(record?: AgentRecord): boolean {
  return record === undefined || agentState(record.operationalState)?.meaning === 'stopped'
}

async function until(
  agentId: AgentId,
  what: string,
  isDone: (record: AgentRecord | undefined) => boolean,
  options: UnenrolOptions,
): Promise<void> {
  try {
    while (!isDone(await recordOf(agentId, options))) await sleep(options.intervalMs ?? 200, options.signal)
  } catch (error) {
    if (!options.signal.aborted) throw error
    throw newFailure(
      'timeout',
      `${options.verifier.name} was told to remove agent ${agentId} and did not ${what} in time`,
    )
  }
}

async function recordOf(agentId: AgentId, { verifier, signal }: UnenrolOptions): Promise<AgentRecord | undefined> {
  try {
    return await verifier.getAgent(agentId, { signal })
  } catch (error) {
    if (isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) return undefined
    throw error
  }
}
