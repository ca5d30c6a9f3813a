/**
 * Every finding by its ID: what it means, why it happens, what to do.
 *
 * @module
 */
import { CONFIGURATION_FINDINGS } from './configuration.ts'
import type { FindingEntry } from './entry.ts'
import { HOST_FINDINGS } from './hosts.ts'
import { MACHINE_FINDINGS } from './machine.ts'
import { SOURCE_FINDINGS } from './sources.ts'
import { WATCH_FINDINGS } from './watching.ts'

/** The entries. An ID is never given another meaning and never used again. */
export const FINDINGS = {
  ...SOURCE_FINDINGS,
  ...CONFIGURATION_FINDINGS,
  ...MACHINE_FINDINGS,
  ...HOST_FINDINGS,
  ...WATCH_FINDINGS,
} as const

/** An ID such as `TK-KL-VERDICT`. */
export type FindingId = keyof typeof FINDINGS

/**
 * Looks an entry up.
 *
 * @param id Its ID.
 * @returns The entry.
 */
export function entryOf(id: FindingId): FindingEntry {
  return FINDINGS[id]
}

/**
 * Tells whether a text is the ID of a finding.
 *
 * @param text Any text.
 * @returns True for one of the catalogue.
 */
export function isFindingId(text: string): text is FindingId {
  return Object.hasOwn(FINDINGS, text)
}
