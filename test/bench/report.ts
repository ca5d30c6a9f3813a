/**
 * The measurements as text: a table for each part.
 *
 * @module
 */
import type { AgentResult } from './agent-half.ts'
import type { ColdResult } from './cold-start.ts'
import type { Side } from './contestants.ts'
import type { GrowthResult } from './growth.ts'
import type { LifeResult } from './lifecycle.ts'
import { loadInWords, type MachineLoad } from './machine-load.ts'
import { table } from './markdown.ts'
import { modelTable } from './model-report.ts'
import type { ModelResult } from './model-run.ts'
import type { SpireResult } from './real-spire.ts'
import type { ServerResult } from './server-levels.ts'
import { totalOf } from './server-run.ts'
import type { SoakPoint, SoakResult } from './soak.ts'
import { type Spread, spreadOf } from './statistics.ts'
import { PHASES, type StormResult } from './storm.ts'

/** Everything one run measured. */
export interface BenchResults {
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryGb: number
    readonly node: string
    readonly forms: Readonly<Record<string, string>>
    /** Of the server half, 10^6 bytes. */
    readonly executableMb?: number
    /** Seen before each part and at the end. */
    readonly load?: MachineLoad
  }
  readonly life: readonly LifeResult[]
  readonly cold: readonly ColdResult[]
  readonly server: readonly ServerResult[]
  readonly agent: readonly AgentResult[]
  readonly spire: readonly SpireResult[]
  readonly storm: readonly StormResult[]
  readonly soak: readonly SoakResult[]
  readonly growth: readonly GrowthResult[]
  readonly model?: readonly ModelResult[]
}

const SIDES = ['ours', 'go'] as const

/**
 * Prints the parts that were measured.
 *
 * @returns Markdown tables; each figure is the median of the rounds, with minimum and maximum.
 */
export function tables(results: BenchResults): string {
  const { machine } = results
  const forms = Object.entries(machine.forms).map(([side, form]) => `${side}: ${form}`)
  const parts = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, Node ${machine.node}; ${forms.join('; ')}${machine.load === undefined ? '' : `; ${loadInWords(machine.load)}`}.`,
    lifeTable(results.life),
    coldTable(results.cold),
    serverTable(results.server),
    agentTable(results.agent),
    spireTable(results.spire),
    stormTable(results.storm),
    soakTable(results.soak),
    growthTable(results.growth),
    modelTable(results.model ?? []),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/**
 * Says the median, with what the rounds ranged over.
 *
 * @returns Such as `12 (10-15)`.
 */
export function show(spread: Spread, digits: number): string {
  const [min, median, max] = [spread.min, spread.median, spread.max].map((value) => value.toFixed(digits))
  return min === max ? `${median}` : `${median} (${min}-${max})`
}

/**
 * Picks one measure of one side.
 *
 * @param results In the order of the rounds.
 * @returns The values, in the same order.
 */
export function valuesOf<T extends { readonly side: Side }>(
  results: readonly T[],
  side: Side,
  measure: (one: T) => number,
): number[] {
  return results.filter((one) => one.side === side).map(measure)
}

function rowsOf<T extends { readonly side: Side }>(
  groups: readonly (readonly [name: string, results: readonly T[]])[],
  measures: readonly (readonly [measure: (one: T) => number, digits: number])[],
): string[][] {
  return groups.flatMap(([name, results]) =>
    SIDES.filter((side) => results.some((one) => one.side === side)).map((side) => [
      name,
      side,
      ...measures.map(([measure, digits]) => show(spreadOf(valuesOf(results, side, measure)), digits)),
    ]),
  )
}

function lifeTable(results: readonly LifeResult[]): string {
  const head = [
    '',
    'side',
    'handshake ms',
    'first answer ms',
    'exit ms',
    'idle RSS MB',
    'idle PSS MB',
    'idle anonymous MB',
  ]
  if (results.length === 0) return ''
  return table(
    'Server half: one life',
    head,
    rowsOf(
      [[`${results.length} lives`, results]],
      [
        [(one) => one.handshakeMs, 0],
        [(one) => one.firstAnswerMs, 0],
        [(one) => one.exitMs, 0],
        [(one) => one.idleRssMb, 0],
        [(one) => one.idlePssMb, 0],
        [(one) => one.idleAnonMb, 0],
      ],
    ),
  )
}

function coldTable(results: readonly ColdResult[]): string {
  if (results.length === 0) return ''
  const head = ['', 'side', 'attestations/s', 'p50 ms', 'p99 ms', 'CPU ms each', 'verifier requests', 'failed']
  return table(
    'Server half: the first attestations of a fresh process',
    head,
    rowsOf(
      [[`first ${results[0]?.attestations ?? 0}, ${results[0]?.inFlight ?? 0} in flight`, results]],
      [
        [(one) => one.perSecond, 0],
        [(one) => one.p50Ms, 1],
        [(one) => one.p99Ms, 1],
        [(one) => one.cpuMs, 2],
        [(one) => one.verifierRequests, 2],
        [(one) => failuresOf(one), 0],
      ],
    ),
  )
}

/** Results with the same AK and level. */
function levelsOf(results: readonly ServerResult[]): [string, ServerResult[]][] {
  const groups = new Map<string, ServerResult[]>()
  for (const one of results) {
    const name = `${one.ak}, ${one.isFirstSight ? 'first sight, ' : ''}${one.inFlight} in flight`
    groups.set(name, [...(groups.get(name) ?? []), one])
  }
  return [...groups]
}

function serverTable(results: readonly ServerResult[]): string {
  const head = [
    'AK, load',
    'side',
    'attestations/s',
    'p50 ms',
    'p90 ms',
    'p99 ms',
    'max ms',
    'CPU ms each',
    'verifier requests',
    'registrar requests',
    'failed',
    'RSS after MB',
  ]
  return table(
    'Server half',
    head,
    rowsOf(levelsOf(results), [
      [(one) => one.perSecond, 0],
      [(one) => one.p50Ms, 1],
      [(one) => one.p90Ms, 1],
      [(one) => one.p99Ms, 1],
      [(one) => one.maxMs, 0],
      [(one) => one.cpuMs, 2],
      [(one) => one.verifierRequests, 2],
      [(one) => one.registrarRequests, 2],
      [(one) => failuresOf(one), 0],
      [(one) => one.rssAfterMb, 0],
    ]),
  )
}

function failuresOf({ failures }: { readonly failures: Readonly<Record<string, number>> }): number {
  return totalOf(failures)
}

function agentTable(results: readonly AgentResult[]): string {
  const groups = [...new Set(results.map(({ inFlight }) => inFlight))].map(
    (level) => [`${level} in flight`, results.filter(({ inFlight }) => inFlight === level)] as const,
  )
  const head = ['load', 'side', 'attestations/s', 'p50 ms', 'p99 ms', 'CPU ms each', 'failed', 'RSS after MB']
  return table(
    'Agent half, mutual TLS',
    head,
    rowsOf(groups, [
      [(one) => one.perSecond, 0],
      [(one) => one.p50Ms, 1],
      [(one) => one.p99Ms, 1],
      [(one) => one.cpuMs, 2],
      [(one) => failuresOf(one), 0],
      [(one) => one.rssAfterMb, 0],
    ]),
  )
}

function spireTable(results: readonly SpireResult[]): string {
  if (results.length === 0) return ''
  const head = [
    'load',
    'side',
    'attestations/s',
    'p50 ms',
    'p99 ms',
    'plugin CPU ms each',
    'spire-server CPU ms each',
    'failed',
  ]
  return table(
    'Through a real spire-server, SVID included',
    head,
    rowsOf(
      [['32 in flight', results]],
      [
        [(one) => one.perSecond, 0],
        [(one) => one.p50Ms, 1],
        [(one) => one.p99Ms, 1],
        [(one) => one.cpuMs, 2],
        [(one) => one.spireCpuMs, 2],
        [(one) => failuresOf(one), 0],
      ],
    ),
  )
}

function stormTable(results: readonly StormResult[]): string {
  const groups = PHASES.map((phase) => [phase, results.filter((one) => one.phase === phase)] as const)
  const head = [
    'nodes',
    'side',
    'how many',
    'seconds',
    'attestations/s',
    'p99 ms',
    'verifier requests',
    'of them reads',
    'failed',
  ]
  return table(
    'Verifier as slow as the real one',
    head,
    rowsOf(groups, [
      [(one) => one.nodes, 0],
      [(one) => one.seconds, 1],
      [(one) => one.perSecond, 0],
      [(one) => one.p99Ms, 0],
      [(one) => one.verifierRequests, 2],
      [(one) => one.readRequests, 3],
      [(one) => failuresOf(one), 0],
    ]),
  )
}

function soakTable(results: readonly SoakResult[]): string {
  const rows = results.flatMap(({ side, points, reconfigurations, afterReconfiguring }) => [
    ...points.map((point) => soakRow(side, `${point.attestations} attestations`, point)),
    soakRow(side, `${reconfigurations} reconfigurations more`, afterReconfiguring),
  ])
  return table('Memory as time goes by', ['side', 'after', 'RSS MB', 'PSS MB', 'anonymous MB', 'descriptors'], rows)
}

function soakRow(side: string, what: string, point: SoakPoint): string[] {
  const { rssMb, pssMb, anonMb, descriptors } = point
  return [side, what, ...[rssMb, pssMb, anonMb].map((megabytes) => megabytes.toFixed(0)), String(descriptors)]
}

function growthTable(results: readonly GrowthResult[]): string {
  const rows = results.map((one) => [
    String(one.nodes),
    String(one.inFlight),
    String(one.selectors),
    one.perSecond.toFixed(0),
    one.p50Ms.toFixed(1),
    one.p99Ms.toFixed(1),
    one.cpuMs.toFixed(2),
    one.verifierRequests.toFixed(2),
    one.rssAfterMb.toFixed(0),
    String(failuresOf(one)),
  ])
  const head = [
    'nodes',
    'in flight',
    'selectors',
    'attestations/s',
    'p50 ms',
    'p99 ms',
    'CPU ms each',
    'verifier requests',
    'RSS MB',
    'failed',
  ]
  return table('How our server half grows', head, rows)
}
