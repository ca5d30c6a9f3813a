/**
 * The comparison of what the hosts observed with what the cases expect.
 *
 * @module
 */
import type { ConformanceCase } from './conformance-case.ts'

/** One run of a case against one executable, as a host reports it. */
export interface Run {
  readonly id: string
  readonly plugin: string
  readonly observed: readonly string[] | null
  /** Why the case could not be played to its end. */
  readonly error?: string
  readonly ms: number
}

/** What came of a case. */
export interface Verdict {
  readonly id: string
  readonly passed: boolean
  /** One line for each difference; empty when it passed. */
  readonly differences: readonly string[]
  readonly ms: number
}

/**
 * Judges one case.
 *
 * @param runs Every run the hosts reported, of any case.
 * @returns Verdict; a case that was not played against each of its executables has not passed.
 */
export function judge(subject: ConformanceCase, runs: readonly Run[]): Verdict {
  const own = runs.filter((run) => run.id === subject.id)
  const differences = subject.plugins.flatMap((plugin) => {
    const run = own.find((each) => each.plugin === plugin)
    return run === undefined ? [`${plugin}: not played`] : compare(subject, run)
  })
  if (subject.plugins.length === 0) differences.push('no executable to play it against')
  const ms = own.reduce((sum, run) => sum + run.ms, 0)
  return { id: subject.id, passed: differences.length === 0, differences, ms }
}

function compare(subject: ConformanceCase, run: Run): string[] {
  const expected = subject.expectedOf?.[run.plugin] ?? subject.expected
  const observed = run.observed ?? []
  const differences: string[] = []
  for (let index = 0; index < Math.max(expected.length, observed.length); index++) {
    const [want, got] = [expected[index] ?? '(nothing)', observed[index] ?? '(nothing)']
    if (want !== got) differences.push(`${run.plugin}: expected ${want}; observed ${got}`)
  }
  if (run.error !== undefined) differences.push(`${run.plugin}: ${run.error}`)
  return differences
}
