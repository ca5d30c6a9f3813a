/**
 * Every verb of `towerkeep`, in the order of the help text.
 *
 * @module
 */

import { RENEW } from './acting.ts'
import { DOCTOR } from './diagnosing.ts'
import { EXPLAIN, STATUS } from './reading.ts'
import { CHANGE_FLAGS, COMMON_FLAGS } from './shared-flags.ts'
import type { FlagSpecs, VerbSpec } from './spec.ts'
import { COMPLETE, COMPLETION, HELP, WATCH } from './tooling.ts'

/** The table. */
export const VERBS = [STATUS, DOCTOR, EXPLAIN, RENEW, WATCH, COMPLETION, HELP, COMPLETE] as const

/** The name of a verb. */
export type VerbName = (typeof VERBS)[number]['name']

/** Name of the program. */
export const PROGRAM = 'towerkeep'

/** One line that says what the program is for. */
export const PROGRAM_SUMMARY = 'keeps SPIRE identities and Keylime attestation in step, and says why'

/**
 * Gathers every flag that a verb takes.
 *
 * @param verb The verb.
 * @returns Its own flags first, then those of its kind, then those of every verb.
 */
export function flagsOf(verb: VerbSpec): FlagSpecs {
  return { ...verb.flags, ...(verb.kind === 'change' && CHANGE_FLAGS), ...COMMON_FLAGS }
}

/**
 * Lists what help and manuals show.
 *
 * @returns The verbs that are not hidden.
 */
export function shownVerbs(): readonly VerbSpec[] {
  return VERBS.filter((verb: VerbSpec) => verb.hidden !== true)
}
