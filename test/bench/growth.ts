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
  /** What varies; the others stay at 32 in flight, at the largest number of nodes and at the fewest selectors. */
  readonly by: 'nodes' | 'in flight' | 'selectors'
  readonly nodes: number
  /** Selectors that each attestation answers with. */
  readonly selectors: number
}

const IN_FLIGHT = 32
/** Nodes for the curve of selectors. */
const SELECTOR_NODES = 64
/** Selectors of a node whose policy compares nothing: its ID, EK, hash, address, policy hash and `policy:none`. */
const FEWEST_SELECTORS = 6
/** Enough for every level to reach a steady state. */
const LEAST_ATTESTATIONS = 2000

/**
 * Measures the curves: nodes and attestations in flight with one plugin that has seen every node, then selectors.
 *
 * @returns The points, nodes first, selectors last.
 */
export async function growth(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<GrowthResult[]> {
  const ours = contestants.find(({ side }) => side === 'ours')
  if (ours === undefined) return []
  const selectors = await growthBySelectors(ours, scale, tell)
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
        results.push({ ...result, by, nodes, selectors: FEWEST_SELECTORS })
        tell(`growth: ${nodes} nodes, ${inFlight} in flight: ${describe(result)}, ${result.rssAfterMb.toFixed(0)} MB`)
      }
      return [...results, ...selectors]
    })
  } finally {
    await keylime.stop()
  }
}

/** A policy that compares more PCRs gives a node more selectors, which we write and SPIRE stores. */
async function growthBySelectors(ours: Contestant, scale: Scale, tell: Tell): Promise<GrowthResult[]> {
  const results: GrowthResult[] = []
  for (const pcrs of scale.growthPcrs) {
    const keylime = await spawnFakeKeylime({
      nodes: SELECTOR_NODES,
      ak: 'ec-p256',
      tlsKeys: 'rsa-2048',
      tpmPolicy: policyOver(pcrs),
    })
    // `policy:none` gives way to one selector for each PCR.
    const selectors = pcrs === 0 ? FEWEST_SELECTORS : FEWEST_SELECTORS - 1 + pcrs
    try {
      const result = await withServer(ours, keylime, async (plugin) => {
        await loadServer(plugin, keylime, { inFlight: IN_FLIGHT, attestations: LEAST_ATTESTATIONS })
        return loadServer(plugin, keylime, { inFlight: IN_FLIGHT, attestations: scale.attestations })
      })
      results.push({ ...result, by: 'selectors', nodes: SELECTOR_NODES, selectors })
      tell(`growth: ${selectors} selectors: ${describe(result)}`)
    } finally {
      await keylime.stop()
    }
  }
  return results
}

/** Pins the first PCRs, as an enrolment would. */
function policyOver(pcrs: number): string {
  const numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22].slice(0, pcrs)
  const mask = numbers.reduce((bits, pcr) => bits | (1 << pcr), 0)
  const values = numbers.map((pcr) => [String(pcr), ['00'.repeat(32)]])
  return JSON.stringify({ mask: `0x${mask.toString(16)}`, ...Object.fromEntries(values) })
}
