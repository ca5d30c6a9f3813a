/**
 * Part (e): the first attestations of a fresh process, every node a stranger to it.
 *
 * @module
 */
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import type { Contestant, Side } from './contestants.ts'
import type { LoadResult } from './load.ts'
import type { Scale } from './scale.ts'
import { describe, loadServer, type RequestCounts, type Tell, turns, withServer } from './server-run.ts'

/** How a fresh process fared. */
export interface ColdResult extends LoadResult, RequestCounts {
  readonly side: Side
  readonly round: number
}

/** As many as come within the first second or two of a SPIRE server that was restarted under load. */
const FIRST_ATTESTATIONS = 300
const IN_FLIGHT = 32

/**
 * Measures the first attestations after Configure, contestants taking turns.
 *
 * @returns One result for each life.
 */
export async function coldStarts(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<ColdResult[]> {
  const keylime = await spawnFakeKeylime({ nodes: FIRST_ATTESTATIONS, ak: 'rsa-2048', tlsKeys: 'rsa-2048' })
  const results: ColdResult[] = []
  try {
    for (let round = 0; round < scale.coldRounds; round += 1) {
      for (const contestant of turns(contestants, round)) {
        results.push({ ...(await coldStart(contestant, keylime)), side: contestant.side, round })
      }
    }
  } finally {
    await keylime.stop()
  }
  for (const result of results) tell(`${result.side}, first ${FIRST_ATTESTATIONS}: ${describe(result)}`)
  return results
}

function coldStart(contestant: Contestant, keylime: FakeKeylimeProcess): Promise<LoadResult & RequestCounts> {
  const order = { inFlight: IN_FLIGHT, attestations: FIRST_ATTESTATIONS }
  return withServer(contestant, keylime, (plugin) => loadServer(plugin, keylime, order))
}
