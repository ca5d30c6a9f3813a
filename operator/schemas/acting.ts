/**
 * The documents of doctor and of the verbs that change something.
 *
 * @module
 */
import * as v from 'valibot'
import { documentSchema } from './envelope.ts'

const COUNT = v.pipe(v.number(), v.integer(), v.minValue(0))
const FACT = v.union([v.string(), v.number(), v.boolean(), v.null()])

/** `doctor`. */
export const DOCTOR_DOCUMENT = documentSchema(
  'towerkeep/doctor/v1',
  v.object({ checks: COUNT, passed: COUNT, merged: COUNT }),
  v.object({ check: v.string(), area: v.string(), findings: v.array(v.string()), ms: COUNT }),
)

/** `doctor --list`. */
export const DOCTOR_LIST_DOCUMENT = documentSchema(
  'towerkeep/doctor-list/v1',
  v.object({ checks: COUNT }),
  v.object({
    area: v.string(),
    check: v.string(),
    needs: v.string(),
    blind: v.string(),
    finds: v.array(v.string()),
    proves: v.boolean(),
  }),
)

/** `renew`. */
export const RENEW_DOCUMENT = documentSchema(
  'towerkeep/renew/v1',
  v.object({ certificates: COUNT, renewed: COUNT }),
  v.object({
    cert: v.string(),
    outcome: v.string(),
    exit: COUNT,
    serial: v.nullable(v.string()),
    not_after: v.nullable(v.string()),
    messages: v.array(v.string()),
  }),
)

/** `entries list`. */
export const ENTRIES_DOCUMENT = documentSchema(
  'towerkeep/entries-list/v1',
  v.object({ entries: COUNT, orphans: COUNT }),
  v.object({
    id: v.string(),
    spiffe_id: v.string(),
    parent_id: v.string(),
    selectors: v.array(v.string()),
    hosts: v.array(v.string()),
    orphan: v.boolean(),
  }),
)

/** `policy show` and `policy lint`. */
export const POLICY_SHOW_DOCUMENT = documentSchema(
  'towerkeep/policy-show/v1',
  v.object({ hosts: COUNT }),
  v.object({
    host: v.string(),
    agent_id: v.string(),
    compared: v.array(COUNT),
    only_quoted: v.array(COUNT),
    boot_log: v.boolean(),
    ima: v.boolean(),
    tpm_policy: v.nullable(v.string()),
  }),
)

/** `policy diff`. */
export const POLICY_DIFF_DOCUMENT = documentSchema(
  'towerkeep/policy-diff/v1',
  v.object({ host: v.string(), changed: COUNT, packages: v.array(v.string()) }),
  v.object({
    pcr: COUNT,
    same: v.boolean(),
    enrolled: v.array(v.string()),
    now: v.string(),
    events: v.array(v.string()),
    log: v.string(),
  }),
)

/**
 * Makes the schema of a verb that carries a plan out.
 *
 * @param name Such as `towerkeep/revoke/v1`.
 * @returns The schema; `summary` may hold more facts.
 */
function changeSchema(name: string) {
  return documentSchema(
    name,
    v.looseObject({
      subject: v.string(),
      outcome: v.picklist(['dry-run', 'nothing-to-do', 'done', 'look', 'failed', 'undone']),
      journal: v.optional(v.string()),
      undo: v.optional(v.string()),
      messages: v.array(v.string()),
    }),
    v.object({
      id: v.string(),
      title: v.string(),
      state: v.picklist(['planned', 'begun', 'already', 'done', 'failed', 'undone', 'undo-failed']),
      at: v.optional(v.string()),
      facts: v.optional(v.record(v.string(), FACT)),
      error: v.optional(v.string()),
    }),
  )
}

const CHANGES = [
  'enroll-prepare',
  'enroll-apply',
  'enroll-accept',
  'renew-devid',
  'recover',
  'revoke',
  'restore',
  'policy-baseline',
  'policy-approve',
  'policy-apply',
  'entries-reparent',
  'entries-alias',
  'gc',
  'pin',
  'support',
] as const

/** The verbs that carry a plan out. */
export const CHANGE_DOCUMENTS: Readonly<Record<string, v.GenericSchema>> = Object.fromEntries(
  CHANGES.map((name) => [`towerkeep/${name}/v1`, changeSchema(`towerkeep/${name}/v1`)]),
)
