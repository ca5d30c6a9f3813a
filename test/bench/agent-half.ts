/**
 * Part (c): the agent half under load.
 *
 * @module
 */
import { aidAttestation, type PluginProcess } from '../../plugins/host/index.ts'
import { encodeChallenge } from '../../plugins/keylime/messages.ts'
import { newNonce } from '../../plugins/keylime/nonce.ts'
import { spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { type Contestant, prepareHalf, type Side, startHalf } from './contestants.ts'
import { type LoadResult, load } from './load.ts'
import type { Scale } from './scale.ts'
import { describe, type Tell, turns } from './server-run.ts'

/** A node has one SPIRE agent; more than this never asks at once. */
const MOST_IN_FLIGHT = 32

/** One level of load. */
export interface AgentResult extends LoadResult {
  readonly side: Side
  readonly round: number
}

function attest(plugin: PluginProcess): Promise<unknown> {
  return aidAttestation(plugin, {
    next: (_message, index) => (index === 0 ? encodeChallenge({ nonce: newNonce() }) : undefined),
  })
}

/**
 * Part (c): levels of load on the agent half, mutual TLS to one fake Keylime agent, contestants taking turns.
 *
 * @param contestants Whose plugins.
 * @param scale How much.
 * @param tell Hears how far it is.
 * @returns One result for each contestant, round and level.
 */
export async function agentLevels(
  contestants: readonly Contestant[],
  scale: Scale,
  tell: Tell,
): Promise<AgentResult[]> {
  // The quote of an EC key costs the fake agent little, so that more of what is measured is the plugin.
  const keylime = await spawnFakeKeylime({ nodes: 1, agents: 1, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
  const results: AgentResult[] = []
  try {
    const hcl = keylime.ready.agents[0]?.hcl ?? ''
    for (const inFlight of scale.levels.filter((level) => level <= MOST_IN_FLIGHT)) {
      for (let round = 0; round < scale.rounds; round += 1) {
        for (const contestant of turns(contestants, round)) {
          const result = await burst(contestant, hcl, { ...scale, inFlight })
          results.push({ ...result, side: contestant.side, round })
          tell(`${contestant.side} agent half, ${inFlight} in flight, round ${round + 1}: ${describe(result)}`)
        }
      }
    }
  } finally {
    await keylime.stop()
  }
  return results
}

async function burst(
  contestant: Contestant,
  hcl: string,
  order: Pick<Scale, 'warmUp' | 'attestations' | 'seconds'> & { readonly inFlight: number },
): Promise<LoadResult> {
  const plugin = await startHalf(contestant, 'agent')
  try {
    await prepareHalf(plugin, 'agent', hcl)
    await load(plugin, { inFlight: 4, attestations: order.warmUp, seconds: 2 }, () => attest(plugin))
    return await load(plugin, order, () => attest(plugin))
  } finally {
    await plugin.shutdown()
  }
}
