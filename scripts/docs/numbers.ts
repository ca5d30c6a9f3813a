/**
 * The README's numbers, from the run of the bench that is kept in docs/bench.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { goalsTable } from '../../test/bench/goals.ts'
import type { BenchResults } from '../../test/bench/report.ts'

/** Renders the goals beside what was measured, and on which machine. */
export function numbersSection(): string {
  const file = join(resolve(import.meta.dirname, '..', '..'), 'docs/bench/bench.json')
  const results = JSON.parse(readFileSync(file, 'utf8')) as BenchResults
  const { cpu, cores, memoryGb, node } = results.machine
  const table = goalsTable(results)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .join('\n')
  return `One run on ${cpu}, ${cores} cores, ${memoryGb} GB, Node ${node.replace('v', '')}; medians of alternating rounds, minimum and maximum in parentheses.\n\n${table}\n`
}
