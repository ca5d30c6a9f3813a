/**
 * Parts (a), (b) and the soak: the server half under load.
 *
 * @module
 */
import { attestOnce, type PluginProcess } from '../../plugins/host/index.ts'
import { type FakeKeylimeProcess, type FakeKeylimeStats, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { type Contestant, prepareHalf, type Side, startHalf } from './contestants.ts'
import { type LoadResult, load } from './load.ts'
import { descriptorsOf, memoryOf } from './process-cost.ts'
import type { Scale } from './scale.ts'

/** One level of load with what it cost Keylime. */
export interface ServerResult extends LoadResult {
  readonly side: Side
  readonly ak: 'rsa-2048' | 'ec-p256'
  readonly round: number
  /** Requests to the verifier and to the registrar, each per attestation. */
  readonly verifierRequests: number
  readonly registrarRequests: number
}

/** How a server plugin fared against a verifier as slow as the real one. */
export interface StormResult extends LoadResult {
  readonly side: Side
  readonly nodes: number
  /** `first`: no node was seen before. `known`: each was, within the time its opinion stands. */
  readonly sight: 'first' | 'known'
  /** Requests per attestation: all, and those that are not opinions. */
  readonly verifierRequests: number
  readonly readRequests: number
}

/** Memory and descriptors as attestations go by. */
export interface SoakResult {
  readonly side: Side
  readonly points: readonly {
    readonly attestations: number
    readonly rssMb: number
    readonly pssMb: number
    readonly anonMb: number
    readonly descriptors: number
  }[]
}

type Tell = (text: string) => void

/** One attestation of one of the nodes, in turn. */
function attestInTurn(plugin: PluginProcess, keylime: FakeKeylimeProcess): (index: number) => Promise<unknown> {
  const { nodes } = keylime
  return (index) => {
    const node = nodes[index % nodes.length]
    if (node === undefined) throw new Error('the fake Keylime has no nodes')
    return attestOnce(plugin, { payload: node.payload(), answer: (challenge) => node.respond(challenge) })
  }
}

function verifierTotal(stats: FakeKeylimeStats): number {
  return stats.verifiers.reduce((sum, { requests }) => sum + totalOf(requests), 0)
}

function totalOf(requests: Readonly<Record<string, number>>): number {
  return Object.values(requests).reduce((sum, count) => sum + count, 0)
}

async function withServer<T>(
  contestant: Contestant,
  keylime: FakeKeylimeProcess,
  use: (plugin: PluginProcess) => Promise<T>,
): Promise<T> {
  const plugin = await startHalf(contestant, 'server')
  try {
    await prepareHalf(plugin, 'server', keylime.ready.serverHcl)
    return await use(plugin)
  } finally {
    await plugin.shutdown()
  }
}

/**
 * Part (a): levels of load, contestants taking turns.
 *
 * @param contestants Whose plugins.
 * @param scale How much.
 * @param tell Hears how far it is.
 * @returns One result for each contestant, kind of AK, round and level; the first sight of the nodes counts as level 0.
 */
export async function serverLevels(
  contestants: readonly Contestant[],
  scale: Scale,
  tell: Tell,
): Promise<ServerResult[]> {
  const results: ServerResult[] = []
  for (const ak of ['rsa-2048', 'ec-p256'] as const) {
    const keylime = await spawnFakeKeylime({ nodes: scale.nodes, ak, tlsKeys: 'rsa-2048' })
    try {
      for (let round = 0; round < scale.rounds; round += 1) {
        for (const contestant of turns(contestants, round)) {
          const levels = ak === 'rsa-2048' ? scale.levels : scale.levels.filter((level) => level === 32)
          results.push(
            ...(await withServer(contestant, keylime, (plugin) =>
              climb(plugin, keylime, { contestant, ak, round, levels, scale, tell }),
            )),
          )
        }
      }
    } finally {
      await keylime.stop()
    }
  }
  return results
}

interface Climb {
  readonly contestant: Contestant
  readonly ak: ServerResult['ak']
  readonly round: number
  readonly levels: readonly number[]
  readonly scale: Scale
  readonly tell: Tell
}

async function climb(plugin: PluginProcess, keylime: FakeKeylimeProcess, order: Climb): Promise<ServerResult[]> {
  const { contestant, ak, round, levels, scale, tell } = order
  const results: ServerResult[] = []
  for (const inFlight of [0, ...levels]) {
    await keylime.resetStats()
    const orderOfLevel =
      inFlight === 0
        ? { inFlight: 8, attestations: scale.nodes }
        : { inFlight, attestations: scale.attestations, seconds: scale.seconds }
    const result = await load(plugin, orderOfLevel, attestInTurn(plugin, keylime))
    const stats = await keylime.stats()
    const done = Math.max(1, result.attestations)
    results.push({
      ...result,
      inFlight,
      side: contestant.side,
      ak,
      round,
      verifierRequests: verifierTotal(stats) / done,
      registrarRequests: totalOf(stats.registrar.requests) / done,
    })
    tell(
      `${contestant.side} ${ak}, round ${round + 1}, ${inFlight === 0 ? 'first sight' : `${inFlight} in flight`}: ${describe(result)}`,
    )
  }
  return results
}

function describe(result: LoadResult): string {
  const failed = totalOf(result.failures)
  const failures = failed === 0 ? '' : `, ${failed} failed`
  return `${result.perSecond.toFixed(0)}/s, p99 ${result.p99Ms.toFixed(1)} ms, ${result.cpuMs.toFixed(2)} ms CPU each${failures}`
}

/**
 * Part (b): all nodes at once, against a verifier with the real one's speed.
 *
 * @param contestants Whose plugins.
 * @param scale How many nodes.
 * @param tell Hears how far it is.
 * @returns For each contestant the first sight of all nodes (32 in flight, the warm-up), then the storm itself.
 */
export async function storms(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<StormResult[]> {
  const keylime = await spawnFakeKeylime({ nodes: scale.stormNodes, ak: 'ec-p256', tlsKeys: 'rsa-2048', paced: true })
  const results: StormResult[] = []
  try {
    for (const contestant of contestants) {
      results.push(
        ...(await withServer(contestant, keylime, (plugin) => storm(plugin, keylime, contestant.side, tell))),
      )
    }
  } finally {
    await keylime.stop()
  }
  return results
}

async function storm(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  side: Side,
  tell: Tell,
): Promise<StormResult[]> {
  const nodes = keylime.nodes.length
  const results: StormResult[] = []
  for (const sight of ['first', 'known'] as const) {
    await keylime.resetStats()
    const inFlight = sight === 'first' ? 32 : nodes
    const result = await load(plugin, { inFlight, attestations: nodes }, attestInTurn(plugin, keylime))
    const stats = await keylime.stats()
    const done = Math.max(1, result.attestations)
    const opinions = stats.verifiers.reduce((sum, { requests }) => sum + (requests['identity'] ?? 0), 0)
    const total = verifierTotal(stats)
    results.push({
      ...result,
      side,
      nodes,
      sight,
      verifierRequests: total / done,
      readRequests: (total - opinions) / done,
    })
    tell(`${side}, ${nodes} nodes, ${sight} sight: ${result.seconds.toFixed(1)} s, ${describe(result)}`)
  }
  return results
}

/**
 * The soak: does memory stay flat.
 *
 * @param contestants Whose plugins.
 * @param scale How many attestations.
 * @param tell Hears how far it is.
 * @returns Memory after each tenth.
 */
export async function soak(contestants: readonly Contestant[], scale: Scale, tell: Tell): Promise<SoakResult[]> {
  const keylime = await spawnFakeKeylime({ nodes: scale.nodes, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
  const results: SoakResult[] = []
  try {
    for (const contestant of contestants) {
      const total = contestant.side === 'ours' ? scale.soak : scale.soakGo
      const points = await withServer(contestant, keylime, (plugin) => soakOne(plugin, keylime, total))
      const last = points.at(-1)
      tell(
        `${contestant.side}, after ${total} attestations: ${last?.rssMb.toFixed(0)} MB RSS, ${last?.descriptors} descriptors`,
      )
      results.push({ side: contestant.side, points })
    }
  } finally {
    await keylime.stop()
  }
  return results
}

const SOAK_STEPS = 10

async function soakOne(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  total: number,
): Promise<SoakResult['points']> {
  const point = (attestations: number): SoakResult['points'][number] => {
    return { attestations, ...memoryOf(plugin.pid), descriptors: descriptorsOf(plugin.pid) }
  }
  const points = [point(0)]
  for (let step = 1; step <= SOAK_STEPS; step += 1) {
    await load(plugin, { inFlight: 32, attestations: Math.ceil(total / SOAK_STEPS) }, attestInTurn(plugin, keylime))
    points.push(point((step * total) / SOAK_STEPS))
  }
  return points
}

/** Who goes first changes with the round. */
function turns(contestants: readonly Contestant[], round: number): readonly Contestant[] {
  return round % 2 === 0 ? contestants : contestants.toReversed()
}
