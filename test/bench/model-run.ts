/**
 * Part (f): fleets of simulated nodes behind a real spire-server with the real plugin: what each part costs for a node.
 *
 * @module
 */
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { requireSpire, spireMustBeBuilt } from '../lab/parts/spire.ts'
import type { Contestant } from './contestants.ts'
import { memoryOf } from './process-cost.ts'
import { measured, withSpire } from './real-spire.ts'
import type { Scale } from './scale.ts'
import { describe, type Tell, totalOf } from './server-run.ts'

/** What one pass over a fleet cost, for each node. */
export interface FleetPass {
  readonly perSecond: number
  readonly p99Ms: number
  readonly pluginCpuMs: number
  readonly spireCpuMs: number
  readonly verifierRequests: number
  readonly registrarRequests: number
  readonly failed: number
}

/** One fleet. */
export interface ModelResult {
  readonly nodes: number
  /** Every node for the first time. */
  readonly first: FleetPass
  /** Every node once more, as at half of `agent_ttl`. */
  readonly again: FleetPass
  /** At the end. */
  readonly pluginRssMb: number
  readonly spireRssMb: number
}

const IN_FLIGHT = 32

/**
 * Has each fleet attest twice through a spire-server of its own.
 *
 * @param contestants Ours alone is measured, as an executable.
 * @returns One result for each fleet; none where SPIRE or the executable is not there.
 */
export async function modelRuns(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<ModelResult[]> {
  const ours = contestants.find(({ side, programs }) => side === 'ours' && programs.server.args.length === 0)
  if (ours === undefined || spireMustBeBuilt()) {
    tell('model: left out, SPIRE or the executable is not built yet')
    return []
  }
  const binDir = await requireSpire({ update: tell, done: tell, failed: () => undefined })
  const results: ModelResult[] = []
  for (const nodes of scale.modelNodes) {
    const keylime = await spawnFakeKeylime({ nodes, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
    try {
      results.push(await fleet(ours, keylime, binDir, tell))
    } finally {
      await keylime.stop()
    }
  }
  return results
}

function fleet(ours: Contestant, keylime: FakeKeylimeProcess, binDir: string, tell: Tell): Promise<ModelResult> {
  const nodes = keylime.nodes.length
  return withSpire(ours, keylime, binDir, async ({ spirePid, pluginPid, attest }) => {
    const pass = async (what: string): Promise<FleetPass> => {
      await keylime.resetStats()
      const result = await measured({ pid: pluginPid }, spirePid, { inFlight: IN_FLIGHT, attestations: nodes }, attest)
      const { verifiers, registrar } = await keylime.stats()
      const perNode = (counts: Readonly<Record<string, number>>[]): number =>
        counts.reduce((sum, one) => sum + totalOf(one), 0) / nodes
      tell(`model, ${nodes} nodes, ${what}: ${describe(result)}, spire-server ${result.spireCpuMs.toFixed(2)} ms`)
      return {
        perSecond: result.perSecond,
        p99Ms: result.p99Ms,
        pluginCpuMs: result.cpuMs,
        spireCpuMs: result.spireCpuMs,
        verifierRequests: perNode(verifiers.map(({ requests }) => requests)),
        registrarRequests: perNode([registrar.requests]),
        failed: totalOf(result.failures),
      }
    }
    const first = await pass('first time')
    const again = await pass('again')
    return {
      nodes,
      first,
      again,
      pluginRssMb: memoryOf(pluginPid).rssMb,
      spireRssMb: memoryOf(spirePid).rssMb,
    }
  })
}
