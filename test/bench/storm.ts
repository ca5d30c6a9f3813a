/**
 * Part (b): a verifier as slow as the real one, and a storm of nodes.
 *
 * @module
 */
import type { PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import type { Contestant, Side } from './contestants.ts'
import type { LoadResult } from './load.ts'
import type { Scale } from './scale.ts'
import { describe, loadServer, type RequestCounts, type Tell, turns, withServer } from './server-run.ts'

/** What happens in a phase, one after the other. */
export const PHASES = [
  'first sight, 32 in flight',
  'known, 32 in flight',
  'known, all at once',
  'never seen, all at once',
] as const
type Phase = (typeof PHASES)[number]

/** What one process lives through: strangers are strangers only once. */
const LIVES: readonly (readonly Phase[])[] = [PHASES.slice(0, 3), PHASES.slice(3)]

/** How a plugin fared in a phase. */
export interface StormResult extends LoadResult, RequestCounts {
  readonly side: Side
  readonly nodes: number
  readonly phase: Phase
}

const STEADY_IN_FLIGHT = 32

/**
 * Has all nodes attest against a verifier that serves one request at a time with the real one's times: first as
 * strangers, then again at a steady pace, then all at once; and, in a fresh process, all at once as strangers.
 *
 * @returns One result for each round, contestant and phase.
 */
export async function storms(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<StormResult[]> {
  const nodes = scale.stormNodes
  const keylime = await spawnFakeKeylime({ nodes, ak: 'ec-p256', tlsKeys: 'rsa-2048', paced: true })
  const results: StormResult[] = []
  try {
    for (let round = 0; round < scale.stormRounds; round += 1) {
      for (const contestant of turns(contestants, round)) {
        const { side } = contestant
        for (const phases of LIVES) {
          results.push(
            ...(await withServer(contestant, keylime, (plugin) => storm(plugin, keylime, phases, side, tell))),
          )
        }
      }
    }
  } finally {
    await keylime.stop()
  }
  return results
}

async function storm(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  phases: readonly Phase[],
  side: Side,
  tell: Tell,
): Promise<StormResult[]> {
  const nodes = keylime.nodes.length
  const results: StormResult[] = []
  for (const phase of phases) {
    const order = {
      inFlight: phase.endsWith('all at once') ? nodes : STEADY_IN_FLIGHT,
      attestations: phase === 'known, 32 in flight' ? Math.ceil(nodes / 4) : nodes,
    }
    const result = await loadServer(plugin, keylime, order)
    results.push({ ...result, side, nodes, phase })
    tell(`${side}, slow verifier, ${nodes} nodes, ${phase}: ${result.seconds.toFixed(1)} s, ${describe(result)}`)
  }
  return results
}
