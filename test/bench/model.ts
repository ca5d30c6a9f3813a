/**
 * The arithmetic of a fleet: from what a node cost in the measured fleets to what a fleet of any size needs.
 *
 * @module
 */
import type { ModelResult } from './model-run.ts'
import { spreadOf } from './statistics.ts'

/** What a fleet is set to. */
export interface FleetSettings {
  readonly nodes: number
  /** `agent_ttl`, seconds; agents attest again at half of it. */
  readonly agentTtlS: number
  readonly verifiers: number
  readonly registrars: number
  /** SPIRE servers on one database, each with its plugin. */
  readonly servers: number
}

/** What it needs. */
export interface FleetNeeds {
  readonly attestationsPerSecond: number
  /** Cores, over all servers. */
  readonly pluginCores: number
  readonly spireCores: number
  /** Share of one worker of each verifier and each registrar. */
  readonly verifierShare: number
  readonly registrarShare: number
  /** Of each plugin process, MB. */
  readonly pluginRssMb: number
  /** All nodes at once after a power cut, known from before: seconds until the last is admitted, by what takes longest. */
  readonly stormSeconds: number
  readonly stormBound: 'verifier' | 'registrar' | 'servers'
}

/** Times of a real Keylime 7.14.3, as the fakes keep them: one request at a time in each worker. */
export const KEYLIME_MS = { verifierRead: 2.6, bulkPerNode: 0.4, registrarRead: 1.4 } as const

/** Nodes whose records and opinions one plugin keeps. */
export const REMEMBERED_NODES = 10_000

const CORES_OF_A_SERVER = 2

/** What a node costs, from all measured fleets. */
export interface NodeCost {
  readonly pluginCpuMs: number
  readonly spireCpuMs: number
  readonly verifierRequests: number
  readonly registrarRequests: number
  /** Memory of a plugin without nodes, and what each node it remembers adds. */
  readonly pluginBaseMb: number
  readonly pluginMbPerNode: number
}

/**
 * Computes what a node costs.
 *
 * @param measured At least one fleet.
 * @returns Medians over the fleets, and a straight line through the memory of the smallest and the largest.
 */
export function nodeCost(measured: readonly ModelResult[]): NodeCost {
  const over = (measure: (one: ModelResult) => number): number => spreadOf(measured.map(measure)).median
  const sorted = measured.toSorted((one, other) => one.nodes - other.nodes)
  const [least, most] = [sorted[0], sorted.at(-1)]
  if (least === undefined || most === undefined) throw new Error('no fleet was measured')
  const more = most.nodes - least.nodes
  const pluginMbPerNode = more === 0 ? 0 : Math.max(0, (most.pluginRssMb - least.pluginRssMb) / more)
  return {
    pluginCpuMs: over(({ again }) => again.pluginCpuMs),
    spireCpuMs: over(({ again }) => again.spireCpuMs),
    verifierRequests: over(({ again }) => again.verifierRequests),
    registrarRequests: over(({ again }) => again.registrarRequests),
    pluginBaseMb: least.pluginRssMb - pluginMbPerNode * least.nodes,
    pluginMbPerNode,
  }
}

/**
 * Computes what a fleet needs.
 *
 * @param cost Of a node.
 * @param fleet How large it is, and how it is set up.
 * @returns Its needs, spread evenly over servers, verifiers and registrars.
 */
export function needsOf(cost: NodeCost, fleet: FleetSettings): FleetNeeds {
  const { nodes, servers, verifiers, registrars } = fleet
  const rate = nodes / (fleet.agentTtlS / 2)
  const remembered = Math.min(REMEMBERED_NODES, nodes / servers)
  const storm = {
    // Each server's plugin reads all of a verifier's nodes.
    verifier: (nodes / verifiers) * KEYLIME_MS.bulkPerNode * servers,
    registrar: (nodes / registrars) * KEYLIME_MS.registrarRead,
    servers: ((nodes / servers) * (cost.pluginCpuMs + cost.spireCpuMs)) / CORES_OF_A_SERVER,
  }
  const [stormBound, stormMs] = longest(storm)
  return {
    attestationsPerSecond: rate,
    pluginCores: (rate * cost.pluginCpuMs) / 1_000,
    spireCores: (rate * cost.spireCpuMs) / 1_000,
    verifierShare: (rate * cost.verifierRequests * KEYLIME_MS.verifierRead) / 1_000 / verifiers,
    registrarShare: (rate * cost.registrarRequests * KEYLIME_MS.registrarRead) / 1_000 / registrars,
    pluginRssMb: cost.pluginBaseMb + cost.pluginMbPerNode * remembered,
    stormSeconds: stormMs / 1_000,
    stormBound,
  }
}

function longest(times: Readonly<Record<FleetNeeds['stormBound'], number>>): [FleetNeeds['stormBound'], number] {
  if (times.registrar >= times.verifier && times.registrar >= times.servers) return ['registrar', times.registrar]
  return times.verifier >= times.servers ? ['verifier', times.verifier] : ['servers', times.servers]
}

/** Fleets of the documentation: those measured, and what is beyond one machine. */
export const FLEETS: readonly FleetSettings[] = [
  { nodes: 1_000, agentTtlS: 3_600, verifiers: 1, registrars: 1, servers: 1 },
  { nodes: 5_000, agentTtlS: 3_600, verifiers: 1, registrars: 1, servers: 1 },
  { nodes: 10_000, agentTtlS: 3_600, verifiers: 2, registrars: 1, servers: 1 },
  { nodes: 100_000, agentTtlS: 3_600, verifiers: 20, registrars: 4, servers: 10 },
]
