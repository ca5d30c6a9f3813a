/**
 * How the cost of our server half grows with nodes and with attestations in flight.
 *
 * @module
 */
import { spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import type { Contestant } from './contestants.ts'
import type { LoadResult } from './load.ts'
import type { Scale } from './scale.ts'
import { describe, loadServer, type RequestCounts, type Tell, withServer } from './server-run.ts'

/** One point of a curve. */
export interface GrowthResult extends LoadResult, RequestCounts {
  /** What varies; the other stays at 32 in flight or at the largest number of nodes. */
  readonly by: 'nodes' | 'in flight'
  readonly nodes: number
}

const IN_FLIGHT = 32
/** Enough for every level to reach a steady state. */
const LEAST_ATTESTATIONS = 2000

/**
 * Measures two curves with one plugin that has seen every node.
 *
 * @param contestants Only ours is measured.
 * @param scale Which points.
 * @param tell Hears how far it is.
 * @returns The points, nodes first.
 */
export async function growth(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<GrowthResult[]> {
  const ours = contestants.find(({ side }) => side === 'ours')
  if (ours === undefined) return []
  const all = Math.max(...scale.growthNodes)
  const keylime = await spawnFakeKeylime({ nodes: all, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
  const points = [
    ...scale.growthNodes.map((nodes) => ({ by: 'nodes' as const, nodes, inFlight: IN_FLIGHT })),
    ...scale.growthInFlight.map((inFlight) => ({ by: 'in flight' as const, nodes: all, inFlight })),
  ]
  try {
    return await withServer(ours, keylime, async (plugin) => {
      const results: GrowthResult[] = []
      for (const { by, nodes, inFlight } of points) {
        await loadServer(plugin, keylime, { inFlight: IN_FLIGHT, attestations: nodes }, nodes)
        const attestations = Math.min(scale.attestations, Math.max(LEAST_ATTESTATIONS, inFlight * 4))
        const result = await loadServer(plugin, keylime, { inFlight, attestations }, nodes)
        results.push({ ...result, by, nodes })
        tell(`growth: ${nodes} nodes, ${inFlight} in flight: ${describe(result)}, ${result.rssAfterMb.toFixed(0)} MB`)
      }
      return results
    })
  } finally {
    await keylime.stop()
  }
}
