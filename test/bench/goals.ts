/**
 * The goals of the project beside what a run measured.
 *
 * @module
 */
import type { Side } from './contestants.ts'
import { table } from './markdown.ts'
import { type BenchResults, show, valuesOf } from './report.ts'
import { ratioOf, spreadOf } from './statistics.ts'

interface Goal {
  readonly what: string
  readonly goal: string
  /** Undefined where the run did not measure it. */
  readonly measured: string | undefined
  readonly met: boolean
  /** Heading of docs/scaling.md that says what stands in the way. */
  readonly why?: string
}

/**
 * Prints the goals of the project beside what this run measured.
 *
 * @param page Where the paragraphs are that rows not met point to; default the page that the table stands in.
 * @returns A Markdown table; goals that were not measured are left out.
 */
export function goalsTable(results: BenchResults, page: string = ''): string {
  const rows = goalsOf(results).flatMap(({ what, goal, measured, met, why }) => {
    const no = why === undefined ? 'no' : `no: [${why.toLowerCase()}](${page}#${anchorOf(why)})`
    return measured === undefined ? [] : [[what, goal, measured, met ? 'yes' : no]]
  })
  return table('Goals', ['what', 'goal', 'measured', 'met'], rows)
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-')
}

function goalsOf(results: BenchResults): Goal[] {
  const at32 = results.server.filter((one) => one.inFlight === 32 && one.ak === 'rsa-2048' && !one.isFirstSight)
  const agent32 = results.agent.filter(({ inFlight }) => inFlight === 32)
  const storm = results.storm.filter(({ phase }) => phase === 'known, all at once')
  const strangers = results.storm.filter(({ phase }) => phase === 'never seen, all at once')
  const steady = ours(results.server).filter(({ isFirstSight }) => !isFirstSight)
  const first = ours(results.server).filter(({ isFirstSight }) => isFirstSight)
  const end = ours(results.soak)[0]?.points.at(-1)
  const executable = results.machine.executableMb
  return [
    ratioGoal(
      'fresh process, attestations/s, against Go',
      results.cold,
      (one) => one.perSecond,
      'at least',
      1,
      'A fresh process',
    ),
    ratioGoal('fresh process, p99, against Go', results.cold, (one) => one.p99Ms, 'at most', 1.5, 'A fresh process'),
    ratioGoal(
      'server half, CPU per attestation, against Go',
      at32,
      (one) => one.cpuMs,
      'at most',
      1 / 4,
      'Where the time goes',
    ),
    ratioGoal(
      'server half, attestations/s at 32 in flight, against Go',
      at32,
      (one) => one.perSecond,
      'at least',
      4,
      'Where the time goes',
    ),
    ratioGoal(
      'server half, p99 at 32 in flight, against Go',
      at32,
      (one) => one.p99Ms,
      'at most',
      1 / 4,
      'Where the time goes',
    ),
    ratioGoal(
      'agent half, attestations/s at 32 in flight, against Go',
      agent32,
      (one) => one.perSecond,
      'at least',
      4,
      'Where the time goes',
    ),
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
      ours(storm).map((one) => one.readRequests),
      0.1,
      3,
    ),
    ratioGoal('storm, time, against Go', storm, (one) => one.seconds, 'at most', 1 / 5, 'A storm'),
    ratioGoal('storm of strangers, time, against Go', strangers, (one) => one.seconds, 'at most', 0.75, 'A storm'),
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
      'Memory',
    ),
    boundGoal('executable of the server half, MB', executable === undefined ? [] : [executable], 118, 1, 'Memory'),
    boundGoal(
      `RSS after ${end?.attestations ?? 0} attestations, MB`,
      end === undefined ? [] : [end.rssMb],
      135,
      0,
      'Memory',
    ),
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
  why: string,
): Goal {
  const theirs = valuesOf(results, 'go', measure)
  const ratio = ratioOf(valuesOf(results, 'ours', measure), theirs)
  const met = direction === 'at most' ? ratio.median <= bound : ratio.median >= bound
  return {
    what,
    goal: `${direction} ${bound.toFixed(2)} x`,
    measured: theirs.length === 0 ? undefined : `${show(ratio, 2)} x`,
    met,
    why,
  }
}

function boundGoal(what: string, values: readonly number[], bound: number, digits: number, why?: string): Goal {
  const spread = spreadOf(values)
  return {
    what,
    goal: `at most ${bound}`,
    measured: values.length === 0 ? undefined : show(spread, digits),
    met: spread.median <= bound,
    ...(why !== undefined && { why }),
  }
}
