/**
 * Bans on every SPIRE server, and the way back.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { banAgent, evictAgent, getAgent, type SpireConnection } from '@tower-of-omens/spire-api'
import { DoneButLook, type Step } from '../plan/step.ts'
import { refusedBecause } from './preconditions.ts'
import { until } from './waiting.ts'

/** When a ban is looked at again: an attestation in flight may have undone it. */
const LOOK_AGAIN_MS = [500, 1_500] as const

/**
 * Plans the ban of an agent at one server.
 *
 * @param connection The server.
 * @param spiffeId The agent.
 * @param isAlone False: others ban it, or something else is done besides, so that a server that does not know the agent
 *   ends nothing.
 * @returns The step; it proves that the ban stands, and is taken back by deleting the agent.
 */
export function banStep(connection: SpireConnection, spiffeId: string, isAlone = true): Step {
  return {
    id: `ban-${connection.name}`,
    title: `ban ${spiffeId} at ${connection.name}`,
    isDone: async (signal) => (await getAgent(connection, spiffeId, { signal }))?.banned === true,
    act: async (signal) => {
      if (!(await banAgent(connection, spiffeId, { signal }))) {
        if (!isAlone)
          throw new DoneButLook(
            `${connection.name} does not know ${spiffeId}, and cannot ban it before it attests there`,
          )
        throw refusedBecause(
          `${connection.name} does not know ${spiffeId}: it has no identity to take away, and cannot be banned before it attests; stop its verifier from admitting it`,
        )
      }
      return { agent: spiffeId }
    },
    verify: async (signal) => {
      for (const pause of LOOK_AGAIN_MS) {
        await delay(pause, undefined, { signal })
        if ((await getAgent(connection, spiffeId, { signal }))?.banned !== true)
          await banAgent(connection, spiffeId, { signal })
      }
      if ((await getAgent(connection, spiffeId, { signal }))?.banned !== true) {
        throw new Error('the agent was attested again twice while it was banned: stop its SPIRE agent and try again')
      }
    },
  }
}

/**
 * Plans the end of a ban at one server.
 *
 * @param connection The server.
 * @param spiffeId The agent.
 * @returns The step; the agent attests anew by itself.
 */
export function liftStep(connection: SpireConnection, spiffeId: string): Step {
  return {
    id: `lift-${connection.name}`,
    title: `delete the banned agent ${spiffeId} at ${connection.name}, which lifts the ban`,
    isDone: async (signal) => (await getAgent(connection, spiffeId, { signal }))?.banned !== true,
    act: async (signal) => {
      await evictAgent(connection, spiffeId, { signal })
      return { agent: spiffeId }
    },
  }
}

/**
 * Waits until a server has attested an agent.
 *
 * @param connections The servers; one is enough.
 * @param spiffeId The agent.
 * @param options `withinMs`: for how long. `signal`: ends the wait.
 * @returns Whether it has.
 */
export async function attestedWithin(
  connections: readonly SpireConnection[],
  spiffeId: string,
  options: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const found = await until(async () => {
    const agents = await Promise.all(connections.map((one) => getAgent(one, spiffeId, { signal: options.signal })))
    return agents.some((agent) => agent !== undefined && !agent.banned) ? true : undefined
  }, options)
  return found === true
}
