/**
 * The catalogue of findings as Markdown.
 *
 * @module
 */
import { FINDINGS } from './catalogue.ts'
import type { FindingEntry } from './entry.ts'

/**
 * Writes every finding with its meaning, cause and next step.
 *
 * @returns Markdown.
 */
export function findingReference(): string {
  return Object.entries(FINDINGS)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([id, entry]) => part(id, entry))
    .join('\n\n')
}

function part(id: string, { severity, meaning, cause, next, incidents }: FindingEntry): string {
  const seen = incidents.length === 0 ? '' : ` Incidents: ${incidents.join(', ')}.`
  return `### ${id}\n\n${meaning} (${severity})${seen}\n\n- cause: ${cause}\n- next: ${next}`
}
