/**
 * Every verb of `towerkeep`, in the order of the help text.
 *
 * @module
 */

import {
  ENTRIES_ALIAS,
  ENTRIES_LIST,
  ENTRIES_REPARENT,
  GC,
  PIN,
  RECOVER,
  RENEW,
  RENEW_DEVID,
  RESTORE,
  REVOKE,
  SUPPORT,
} from './acting.ts'
import { DOCTOR } from './diagnosing.ts'
import { ENROLL_ACCEPT, ENROLL_APPLY, ENROLL_PREPARE } from './enroll.ts'
import { POLICY_APPLY, POLICY_APPROVE, POLICY_BASELINE, POLICY_DIFF, POLICY_LINT, POLICY_SHOW } from './policy.ts'
import { EXPLAIN, STATUS } from './reading.ts'
import { CHANGE_FLAGS, COMMON_FLAGS } from './shared-flags.ts'
import type { FlagSpecs, VerbSpec } from './spec.ts'
import { COMPLETE, COMPLETION, HELP, WATCH } from './tooling.ts'

/** The table. */
export const VERBS = [
  STATUS,
  DOCTOR,
  EXPLAIN,
  ENROLL_PREPARE,
  ENROLL_APPLY,
  ENROLL_ACCEPT,
  RENEW,
  RENEW_DEVID,
  RECOVER,
  REVOKE,
  RESTORE,
  POLICY_SHOW,
  POLICY_LINT,
  POLICY_BASELINE,
  POLICY_DIFF,
  POLICY_APPROVE,
  POLICY_APPLY,
  ENTRIES_LIST,
  ENTRIES_REPARENT,
  ENTRIES_ALIAS,
  GC,
  PIN,
  SUPPORT,
  WATCH,
  COMPLETION,
  HELP,
  COMPLETE,
] as const

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
