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
  tell: (text: string) => void,
): Promise<AgentResult[]> {
  // The quote of an EC key costs the fake agent little, so that more of what is measured is the plugin.
  const keylime = await spawnFakeKeylime({ nodes: 1, agents: 1, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
  const results: AgentResult[] = []
  try {
    const hcl = keylime.ready.agents[0]?.hcl ?? ''
    for (let round = 0; round < scale.rounds; round += 1) {
      for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
        results.push(...(await levelsOf(contestant, hcl, scale, round, tell)))
      }
    }
  } finally {
    await keylime.stop()
  }
  return results
}

async function levelsOf(
  contestant: Contestant,
  hcl: string,
  scale: Scale,
  round: number,
  tell: (text: string) => void,
): Promise<AgentResult[]> {
  const { side } = contestant
  const plugin = await startHalf(contestant, 'agent')
  const results: AgentResult[] = []
  try {
    await prepareHalf(plugin, 'agent', hcl)
    await load(plugin, { inFlight: 1, attestations: 20 }, () => attest(plugin))
    for (const inFlight of scale.levels.filter((level) => level <= 32)) {
      const order = { inFlight, attestations: scale.attestations, seconds: scale.seconds }
      const result = await load(plugin, order, () => attest(plugin))
      results.push({ ...result, side, round })
      tell(
        `${side} agent half, round ${round + 1}, ${inFlight} in flight: ${result.perSecond.toFixed(0)}/s, p99 ${result.p99Ms.toFixed(1)} ms`,
      )
    }
  } finally {
    await plugin.shutdown()
  }
  return results
}
