/**
 * The README's numbers, from the run of the bench that is kept in docs/bench.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { goalsTable } from '../../test/bench/goals.ts'
import { loadInWords } from '../../test/bench/machine-load.ts'
import { needsTable } from '../../test/bench/model-report.ts'
import type { BenchResults } from '../../test/bench/report.ts'

/** Renders the goals beside what was measured, and on which machine. */
export function numbersSection(): string {
  const results = published()
  const { cpu, cores, memoryGb, node, load } = results.machine
  const table = rowsOf(goalsTable(results))
  return `One run on ${cpu}, ${cores} cores, ${memoryGb} GB, Node ${node.replace('v', '')}; ${load === undefined ? '' : `${loadInWords(load)}; `}medians of alternating rounds, minimum and maximum in parentheses.\n\n${table}\n`
}

/** Renders what fleets need, from the measured ones. */
export function fleetsSection(): string {
  return `${rowsOf(needsTable(published().model ?? []))}\n`
}

function published(): BenchResults {
  const file = join(resolve(import.meta.dirname, '..', '..'), 'docs/bench/bench.json')
  return JSON.parse(readFileSync(file, 'utf8')) as BenchResults
}

function rowsOf(table: string): string {
  return table
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .join('\n')
}
