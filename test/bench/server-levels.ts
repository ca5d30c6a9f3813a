/**
 * Part (a): the server half at several levels of load.
 *
 * @module
 */
import type { PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { type Contestant, prepareHalf, type Side, startHalf } from './contestants.ts'
import type { LoadResult } from './load.ts'
import type { Scale } from './scale.ts'
import { describe, loadServer, type RequestCounts, type Tell, turns } from './server-run.ts'

/** One burst of load with what it cost Keylime. */
export interface ServerResult extends LoadResult, RequestCounts {
  readonly side: Side
  readonly ak: 'rsa-2048' | 'ec-p256'
  readonly round: number
  /** True for the first attestation of each node, 8 in flight. */
  readonly isFirstSight: boolean
}

const AKS = ['rsa-2048', 'ec-p256'] as const
const FIRST_SIGHT_IN_FLIGHT = 8
const WARM_UP_SECONDS = 3

/** A plugin that lives through all rounds of a level. */
interface Runner {
  readonly side: Side
  readonly plugin: PluginProcess
}

/**
 * Measures bursts of load. At each level every contestant's plugin is started and warmed up; then their bursts follow
 * each other, round after round, so that what else the machine does weighs on both alike.
 *
 * @param scale How much. EC keys are measured at 32 in flight only.
 * @returns For each kind of AK, level and contestant the first sight of the nodes, and a burst for each round.
 */
export async function serverLevels(
  contestants: readonly Contestant[],
  scale: Scale,
  tell: Tell,
): Promise<ServerResult[]> {
  const results: ServerResult[] = []
  for (const ak of AKS) {
    for (const inFlight of scale.levels.filter((level) => ak === 'rsa-2048' || level === 32)) {
      // A fake Keylime for each level: connections that one contestant never closes would pile up in it.
      const keylime = await spawnFakeKeylime({ nodes: scale.nodes, ak, tlsKeys: 'rsa-2048' })
      const runners: Runner[] = []
      try {
        for (const contestant of contestants) runners.push(await startRunner(contestant, keylime))
        results.push(...(await measureLevel(runners, keylime, { ak, inFlight }, scale, tell)))
      } finally {
        await Promise.all(runners.map(({ plugin }) => plugin.shutdown()))
        await keylime.stop()
      }
    }
  }
  return results
}

async function startRunner(contestant: Contestant, keylime: FakeKeylimeProcess): Promise<Runner> {
  const plugin = await startHalf(contestant, 'server')
  await prepareHalf(plugin, 'server', keylime.ready.serverHcl)
  return { side: contestant.side, plugin }
}

async function measureLevel(
  runners: readonly Runner[],
  keylime: FakeKeylimeProcess,
  { ak, inFlight }: Pick<ServerResult, 'ak' | 'inFlight'>,
  scale: Scale,
  tell: Tell,
): Promise<ServerResult[]> {
  const results: ServerResult[] = []
  for (const { side, plugin } of runners) {
    const first = await loadServer(plugin, keylime, { inFlight: FIRST_SIGHT_IN_FLIGHT, attestations: scale.nodes })
    results.push({ ...first, side, ak, round: 0, isFirstSight: true })
    const warmUp = { inFlight: FIRST_SIGHT_IN_FLIGHT, attestations: scale.warmUp, seconds: WARM_UP_SECONDS }
    await loadServer(plugin, keylime, warmUp)
  }
  for (let round = 0; round < scale.rounds; round += 1) {
    for (const { side, plugin } of turns(runners, round)) {
      const order = { inFlight, attestations: scale.attestations, seconds: scale.seconds }
      const result = await loadServer(plugin, keylime, order)
      results.push({ ...result, side, ak, round, isFirstSight: false })
      tell(`${side}, ${ak}, ${inFlight} in flight, round ${round + 1}: ${describe(result)}`)
    }
  }
  return results
}
