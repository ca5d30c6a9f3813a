/**
 * Part (a): the server half at several levels of load.
 *
 * @module
 */
import type { PluginProcess } from '../../plugins/host/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import type { Contestant, Side } from './contestants.ts'
import type { LoadResult } from './load.ts'
import type { Scale } from './scale.ts'
import { describe, loadServer, type RequestCounts, type Tell, turns, withServer } from './server-run.ts'

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
const WARM_UP_SECONDS = 2

/**
 * Measures bursts of load. The contestants' bursts of a round follow each other at once, each on a plugin just started
 * and warmed up, so that what else the machine does, and what a contestant leaves behind, weighs on both alike.
 *
 * @param contestants Whose plugins.
 * @param scale How much. EC keys are measured at 32 in flight only.
 * @param tell Hears how far it is.
 * @returns Two results for each kind of AK, level, round and contestant: first sight, and the burst.
 */
export async function serverLevels(
  contestants: readonly Contestant[],
  scale: Scale,
  tell: Tell,
): Promise<ServerResult[]> {
  const results: ServerResult[] = []
  for (const ak of AKS) {
    const keylime = await spawnFakeKeylime({ nodes: scale.nodes, ak, tlsKeys: 'rsa-2048' })
    try {
      for (const inFlight of scale.levels.filter((level) => ak === 'rsa-2048' || level === 32)) {
        for (let round = 0; round < scale.rounds; round += 1) {
          for (const contestant of turns(contestants, round)) {
            const burst = { side: contestant.side, ak, round, inFlight }
            results.push(
              ...(await withServer(contestant, keylime, (plugin) => measure(plugin, keylime, burst, scale, tell))),
            )
          }
        }
      }
    } finally {
      await keylime.stop()
    }
  }
  return results
}

async function measure(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  burst: Pick<ServerResult, 'side' | 'ak' | 'round' | 'inFlight'>,
  scale: Scale,
  tell: Tell,
): Promise<ServerResult[]> {
  const { inFlight } = burst
  const first = await loadServer(plugin, keylime, { inFlight: FIRST_SIGHT_IN_FLIGHT, attestations: scale.nodes })
  await loadServer(plugin, keylime, {
    inFlight: FIRST_SIGHT_IN_FLIGHT,
    attestations: scale.warmUp,
    seconds: WARM_UP_SECONDS,
  })
  const order = { inFlight, attestations: scale.attestations, seconds: scale.seconds }
  const result = await loadServer(plugin, keylime, order)
  tell(`${burst.side}, ${burst.ak}, ${inFlight} in flight, round ${burst.round + 1}: ${describe(result)}`)
  return [
    { ...first, ...burst, inFlight: FIRST_SIGHT_IN_FLIGHT, isFirstSight: true },
    { ...result, ...burst, isFirstSight: false },
  ]
}
