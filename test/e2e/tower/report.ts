/**
 * The table at the end of `make test-tower`: each promise, what was done and seen for it, and when.
 *
 * Usage: node test/e2e/tower/report.ts
 *
 * @module
 */

import { agentInWords } from '../../lab/parts/parts.ts'
import { readTimelines, type ScenarioRecord } from '../../lab/tower/timeline.ts'
import { REQUIREMENTS, requirementCited } from '../../requirements/index.ts'

const WIDTH = 118

/**
 * Draws the table.
 *
 * @returns Lines: id and promise, then each scenario that shows it, with what it did and saw and the time it took.
 */
export function renderReport(records: readonly ScenarioRecord[]): string {
  const shown = new Set(records.flatMap(({ ids }) => ids.map((name) => requirementCited(name)?.id ?? name)))
  const lines = REQUIREMENTS.filter(({ id }) => shown.has(id)).flatMap(({ id, alias = id, promise }) => [
    cut(`${alias}  ${promise}`, WIDTH),
    ...records
      .filter(({ ids }) => ids.some((name) => requirementCited(name)?.id === id))
      .map(({ title, steps }) => {
        const last = steps.at(-1)
        return cut(`     ${(last?.at ?? 0).toFixed(1).padStart(6)} s  ${title}: ${last?.what ?? ''}`, WIDTH)
      }),
  ])
  return `${lines.join('\n')}\n\n${shown.size} promises shown by ${records.length} scenarios, ${agentInWords()}\n`
}

function cut(words: string, length: number): string {
  return words.length <= length ? words : `${words.slice(0, length - 1)}…`
}

if (process.argv[1] === import.meta.filename) process.stdout.write(renderReport(readTimelines()))
