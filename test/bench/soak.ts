/**
 * Does memory stay flat: memory and descriptors as attestations and configurations go by.
 *
 * @module
 */
import { configure, type PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { type Contestant, type Side, TRUST_DOMAIN } from './contestants.ts'
import { descriptorsOf, type Memory, memoryOf } from './process-cost.ts'
import type { Scale } from './scale.ts'
import { loadServer, type Tell, withServer } from './server-run.ts'

/** One look at a plugin. */
export interface SoakPoint extends Memory {
  readonly attestations: number
  readonly descriptors: number
}

/** Looks at one plugin over its life. */
export interface SoakResult {
  readonly side: Side
  readonly points: readonly SoakPoint[]
  /** After the last attestation, Configure that many times more, each with one attestation. */
  readonly reconfigurations: number
  readonly afterReconfiguring: SoakPoint
}

const STEPS = 12
const IN_FLIGHT = 32

/**
 * Measures memory and descriptors after each twelfth of many attestations, and after many configurations.
 *
 * @param scale How many of each; the Go plugin keeps a connection open for each attestation and gets fewer.
 * @returns One result for each contestant.
 */
export async function soak(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<SoakResult[]> {
  const results: SoakResult[] = []
  for (const contestant of contestants) {
    // One fake Keylime each: connections that the Go plugin never closes would weigh on ours.
    const keylime = await spawnFakeKeylime({ nodes: scale.nodes, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
    try {
      const { side } = contestant
      const total = side === 'ours' ? scale.soak : scale.soakGo
      const result = await withServer(contestant, keylime, (plugin) => soakOne(plugin, keylime, total, scale))
      const last = result.points.at(-1)
      tell(`${side}, after ${total} attestations: ${last?.rssMb.toFixed(0)} MB RSS, ${last?.descriptors} descriptors`)
      results.push({ side, ...result })
    } finally {
      await keylime.stop()
    }
  }
  return results
}

async function soakOne(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  total: number,
  scale: Scale,
): Promise<Omit<SoakResult, 'side'>> {
  const points = [look(plugin, 0)]
  for (let step = 1; step <= STEPS; step += 1) {
    await loadServer(plugin, keylime, { inFlight: IN_FLIGHT, attestations: Math.ceil(total / STEPS) })
    points.push(look(plugin, Math.round((step * total) / STEPS)))
  }
  for (let count = 0; count < scale.reconfigurations; count += 1) {
    await configure(plugin, { trustDomain: TRUST_DOMAIN, hcl: keylime.ready.serverHcl })
    await loadServer(plugin, keylime, { inFlight: 1, attestations: 1 })
  }
  return {
    points,
    reconfigurations: scale.reconfigurations,
    afterReconfiguring: look(plugin, total + scale.reconfigurations),
  }
}

function look(plugin: PluginProcess, attestations: number): SoakPoint {
  return { attestations, ...memoryOf(plugin.pid), descriptors: descriptorsOf(plugin.pid) }
}
