/**
 * Part (c): the agent half under load.
 *
 * @module
 */

import { encodeChallenge } from '../../plugins/keylime/evidence/messages.ts'
import { newNonce } from '../../plugins/keylime/evidence/nonce.ts'
import { aidAttestation, type PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import { spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { type Contestant, prepareHalf, type Side, startHalf } from './contestants.ts'
import { type LoadResult, load } from './load.ts'
import type { Scale } from './scale.ts'
import { describe, type Tell, turns } from './server-run.ts'

/** A node has one SPIRE agent; more than this never asks at once. */
const MOST_IN_FLIGHT = 32
const WARM_UP_SECONDS = 3

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
      results.push(...(await measureLevel(contestants, hcl, { ...scale, inFlight }, tell)))
    }
  } finally {
    await keylime.stop()
  }
  return results
}

/** Every contestant's plugin lives through all rounds; their bursts follow each other. */
async function measureLevel(
  contestants: readonly Contestant[],
  hcl: string,
  order: Scale & { readonly inFlight: number },
  tell: Tell,
): Promise<AgentResult[]> {
  const results: AgentResult[] = []
  const runners: { readonly side: Side; readonly plugin: PluginProcess }[] = []
  try {
    for (const contestant of contestants) {
      const plugin = await startHalf(contestant, 'agent')
      runners.push({ side: contestant.side, plugin })
      await prepareHalf(plugin, 'agent', hcl)
      await load(plugin, { inFlight: 4, attestations: order.warmUp, seconds: WARM_UP_SECONDS }, () => attest(plugin))
    }
    for (let round = 0; round < order.rounds; round += 1) {
      for (const { side, plugin } of turns(runners, round)) {
        const result = await load(plugin, order, () => attest(plugin))
        results.push({ ...result, side, round })
        tell(`${side} agent half, ${order.inFlight} in flight, round ${round + 1}: ${describe(result)}`)
      }
    }
  } finally {
    await Promise.all(runners.map(({ plugin }) => plugin.shutdown()))
  }
  return results
}
