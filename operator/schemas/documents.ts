/**
 * Every JSON document by its file name, for the schemas that are shipped.
 *
 * @module
 */
import type * as v from 'valibot'
import {
  CHANGE_DOCUMENTS,
  DOCTOR_DOCUMENT,
  DOCTOR_LIST_DOCUMENT,
  ENTRIES_DOCUMENT,
  POLICY_DIFF_DOCUMENT,
  POLICY_SHOW_DOCUMENT,
  RENEW_DOCUMENT,
} from './acting.ts'
import { ERROR_DOCUMENT } from './envelope.ts'
import { EXPLAIN_CODE_DOCUMENT, EXPLAIN_DOCUMENT, HELP_DOCUMENT, STATUS_DOCUMENT } from './reading.ts'

/** Name such as `towerkeep/status/v1` to its schema. */
export const DOCUMENTS: Readonly<Record<string, v.GenericSchema>> = {
  'towerkeep/error/v1': ERROR_DOCUMENT,
  'towerkeep/status/v1': STATUS_DOCUMENT,
  'towerkeep/explain/v1': EXPLAIN_DOCUMENT,
  'towerkeep/explain-code/v1': EXPLAIN_CODE_DOCUMENT,
  'towerkeep/doctor/v1': DOCTOR_DOCUMENT,
  'towerkeep/doctor-list/v1': DOCTOR_LIST_DOCUMENT,
  'towerkeep/renew/v1': RENEW_DOCUMENT,
  'towerkeep/entries-list/v1': ENTRIES_DOCUMENT,
  'towerkeep/policy-show/v1': POLICY_SHOW_DOCUMENT,
  'towerkeep/policy-diff/v1': POLICY_DIFF_DOCUMENT,
  ...CHANGE_DOCUMENTS,
  'towerkeep/help/v1': HELP_DOCUMENT,
}
