/**
 * What every measurement of the server half shares: a configured plugin, nodes that attest in turn, request counts.
 *
 * @module
 */
import { attestOnce, type PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import type { FakeKeylimeProcess, FakeKeylimeStats } from '../fakes/fake-keylime-process.ts'
import { type Contestant, prepareHalf, startHalf } from './contestants.ts'
import { type LoadOrder, type LoadResult, load } from './load.ts'

/** Hears how far a measurement is. */
export type Tell = (text: string) => void

/** Requests to Keylime's services, each per attestation. */
export interface RequestCounts {
  readonly verifierRequests: number
  /** Without the second opinions: versions, single and bulk reads. */
  readonly readRequests: number
  readonly registrarRequests: number
}

/**
 * Starts and configures a server plugin, and ends it after its use.
 *
 * @returns What `use` returns.
 */
export async function withServer<T>(
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
 * Loads a server plugin with the nodes of the fake Keylime in turn.
 *
 * @param keylime Whose nodes attest; how many of them, from the first, is up to `nodes`.
 * @param nodes How many of the nodes take part; all by default.
 * @returns The load's result, and what it cost Keylime.
 */
export async function loadServer(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  order: LoadOrder,
  nodes: number = keylime.nodes.length,
): Promise<LoadResult & RequestCounts> {
  await keylime.resetStats()
  const result = await load(plugin, order, (index) => {
    const node = keylime.nodes[index % nodes]
    if (node === undefined) throw new Error('the fake Keylime has no nodes')
    return attestOnce(plugin, { payload: node.payload(), answer: (challenge) => node.respond(challenge) })
  })
  return { ...result, ...countsOf(await keylime.stats(), Math.max(1, result.attestations)) }
}

function countsOf(stats: FakeKeylimeStats, attestations: number): RequestCounts {
  const verifier = stats.verifiers.reduce((sum, { requests }) => sum + totalOf(requests), 0)
  const opinions = stats.verifiers.reduce((sum, { requests }) => sum + (requests['identity'] ?? 0), 0)
  return {
    verifierRequests: verifier / attestations,
    readRequests: (verifier - opinions) / attestations,
    registrarRequests: totalOf(stats.registrar.requests) / attestations,
  }
}

/** Adds up counts. */
export function totalOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

/**
 * Says a result in a line.
 *
 * @returns Rate, p99, CPU, and failures if there are any.
 */
export function describe(result: LoadResult): string {
  const failed = totalOf(result.failures)
  const failures = failed === 0 ? '' : `, ${failed} failed: ${Object.keys(result.failures)[0] ?? ''}`
  return `${result.perSecond.toFixed(0)}/s, p99 ${result.p99Ms.toFixed(1)} ms, ${result.cpuMs.toFixed(2)} ms CPU each${failures}`
}

/**
 * Orders the contestants of a round: who goes first changes with it.
 *
 * @param contestants In any order.
 * @param round From 0.
 * @returns The same, turned around in every second round.
 */
export function turns<T>(contestants: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? contestants : contestants.toReversed()
}
