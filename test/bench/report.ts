/**
 * The measurements as text: a table for each part, and the goals with what was measured.
 *
 * @module
 */
import type { AgentResult } from './agent-half.ts'
import type { Side } from './contestants.ts'
import type { LifeResult } from './lifecycle.ts'
import type { ServerResult, SoakResult, StormResult } from './server-half.ts'
import { ratioOf, type Spread, spreadOf } from './statistics.ts'

/** Everything one run measured. */
export interface BenchResults {
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memoryGb: number
    readonly node: string
    readonly forms: Readonly<Record<string, string>>
  }
  readonly life: readonly LifeResult[]
  readonly server: readonly ServerResult[]
  readonly agent: readonly AgentResult[]
  readonly storm: readonly StormResult[]
  readonly soak: readonly SoakResult[]
}

const SIDES = ['ours', 'go'] as const

/**
 * Prints the parts that were measured.
 *
 * @param results From one run.
 * @returns Markdown tables; each figure is the median of the rounds, with minimum and maximum.
 */
export function tables(results: BenchResults): string {
  const { machine } = results
  const forms = Object.entries(machine.forms).map(([side, form]) => `${side}: ${form}`)
  const parts = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, Node ${machine.node}; ${forms.join('; ')}.`,
    lifeTable(results.life),
    serverTable(results.server),
    agentTable(results.agent),
    stormTable(results.storm),
    soakTable(results.soak),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  return [`### ${title}`, '', rowOf(head), rowOf(head.map(() => '---')), ...rows.map(rowOf)].join('\n')
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

/** Median, with what the rounds ranged over. */
export function show(spread: Spread, digits: number): string {
  const [min, median, max] = [spread.min, spread.median, spread.max].map((value) => value.toFixed(digits))
  return min === max ? `${median}` : `${median} (${min}-${max})`
}

/** Values of one measure for a side, in the order of the rounds. */
function valuesOf<T extends { readonly side: Side }>(
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

/** Results with the same AK and level. */
function levelsOf(results: readonly ServerResult[]): [string, ServerResult[]][] {
  const groups = new Map<string, ServerResult[]>()
  for (const one of results) {
    const name = `${one.ak}, ${one.inFlight === 0 ? 'first sight' : `${one.inFlight} in flight`}`
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
  return Object.values(failures).reduce((sum, count) => sum + count, 0)
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

function stormTable(results: readonly StormResult[]): string {
  const rows = results.map((one) => [
    one.sight === 'first' ? 'first sight, 32 in flight' : 'known, all at once',
    one.side,
    String(one.nodes),
    one.seconds.toFixed(1),
    one.perSecond.toFixed(0),
    one.p99Ms.toFixed(0),
    one.verifierRequests.toFixed(2),
    one.readRequests.toFixed(2),
    String(failuresOf(one)),
  ])
  const head = [
    'nodes',
    'side',
    'how many',
    'seconds',
    'attestations/s',
    'p99 ms',
    'verifier requests each',
    'of them reads',
    'failed',
  ]
  return table('Verifier as slow as the real one', head, rows)
}

function soakTable(results: readonly SoakResult[]): string {
  const rows = results.flatMap(({ side, points }) =>
    points.map((point) => [
      side,
      String(point.attestations),
      point.rssMb.toFixed(0),
      point.pssMb.toFixed(0),
      point.anonMb.toFixed(0),
      String(point.descriptors),
    ]),
  )
  return table(
    'Memory as attestations go by',
    ['side', 'attestations', 'RSS MB', 'PSS MB', 'anonymous MB', 'descriptors'],
    rows,
  )
}

interface Goal {
  readonly what: string
  readonly goal: string
  /** Undefined where the run did not measure it. */
  readonly measured: string | undefined
  readonly met: boolean
}

/**
 * Prints the goals of the project beside what this run measured.
 *
 * @param results From one run.
 * @returns A Markdown table; goals that were not measured are left out.
 */
export function goalsTable(results: BenchResults): string {
  const rows = goalsOf(results).flatMap(({ what, goal, measured, met }) =>
    measured === undefined ? [] : [[what, goal, measured, met ? 'yes' : 'no']],
  )
  return table('Goals', ['what', 'goal', 'measured', 'met'], rows)
}

function goalsOf(results: BenchResults): Goal[] {
  const at32 = results.server.filter(({ inFlight, ak }) => inFlight === 32 && ak === 'rsa-2048')
  const agent32 = results.agent.filter(({ inFlight }) => inFlight === 32)
  const storm = results.storm.filter(({ sight }) => sight === 'known')
  const steady = ours(results.server).filter(({ inFlight }) => inFlight > 0)
  const first = ours(results.server).filter(({ inFlight }) => inFlight === 0)
  const [stormOurs] = ours(storm)
  const end = ours(results.soak)[0]?.points.at(-1)
  return [
    ratioGoal('server half, CPU per attestation, against Go', at32, (one) => one.cpuMs, 'at most', 1 / 5),
    ratioGoal('server half, attestations/s at 32 in flight, against Go', at32, (one) => one.perSecond, 'at least', 4),
    ratioGoal('server half, p99 at 32 in flight, against Go', at32, (one) => one.p99Ms, 'at most', 1 / 3),
    ratioGoal('agent half, attestations/s at 32 in flight, against Go', agent32, (one) => one.perSecond, 'at least', 4),
    boundGoal(
      'verifier requests, first sight of an AK',
      first.map((one) => one.verifierRequests),
      3.1,
      2,
    ),
    boundGoal(
      'verifier requests, steady state',
      steady.map((one) => one.verifierRequests),
      1.01,
      2,
    ),
    boundGoal(
      'verifier requests in a storm, beyond the opinions',
      stormOurs === undefined ? [] : [stormOurs.readRequests],
      0.1,
      3,
    ),
    ratioGoal('storm, time, against Go', storm, (one) => one.seconds, 'at most', 1 / 5),
    boundGoal(
      'spawn to handshake line, ms',
      ours(results.life).map((one) => one.handshakeMs),
      50,
      0,
    ),
    boundGoal(
      'idle RSS, MB',
      ours(results.life).map((one) => one.idleRssMb),
      60,
      0,
    ),
    boundGoal(`RSS after ${end?.attestations ?? 0} attestations, MB`, end === undefined ? [] : [end.rssMb], 120, 0),
  ]
}

function ours<T extends { readonly side: Side }>(list: readonly T[]): T[] {
  return list.filter(({ side }) => side === 'ours')
}

function ratioGoal<T extends { readonly side: Side }>(
  what: string,
  results: readonly T[],
  measure: (one: T) => number,
  direction: 'at most' | 'at least',
  bound: number,
): Goal {
  const theirs = valuesOf(results, 'go', measure)
  const ratio = ratioOf(valuesOf(results, 'ours', measure), theirs)
  const met = direction === 'at most' ? ratio.median <= bound : ratio.median >= bound
  return {
    what,
    goal: `${direction} ${bound.toFixed(2)} x`,
    measured: theirs.length === 0 ? undefined : `${show(ratio, 2)} x`,
    met,
  }
}

function boundGoal(what: string, values: readonly number[], bound: number, digits: number): Goal {
  const spread = spreadOf(values)
  return {
    what,
    goal: `at most ${bound}`,
    measured: values.length === 0 ? undefined : show(spread, digits),
    met: spread.median <= bound,
  }
}
