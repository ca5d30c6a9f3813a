/**
 * The documents of the verbs that read.
 *
 * @module
 */
import * as v from 'valibot'
import { documentSchema } from './envelope.ts'

const PERCENT = v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(100)))
const COUNT = v.pipe(v.number(), v.integer(), v.minValue(0))
const TEXT = v.nullable(v.string())
const NUMBER = v.nullable(v.number())

/** One row of `status`. */
export const STATUS_ROW_SCHEMA = v.object({
  host: v.string(),
  agent_id: v.string(),
  spiffe_id: v.string(),
  ek: v.picklist(['match', 'mismatch', 'unproved', 'unknown']),
  keylime: v.object({
    state: TEXT,
    operational_state: NUMBER,
    attestation_count: NUMBER,
    age_seconds: NUMBER,
    last_event_id: TEXT,
    verifier: TEXT,
  }),
  policy: TEXT,
  spire: v.object({
    standing: v.picklist(['attested', 'expired', 'banned', 'absent', 'unknown']),
    svid_seconds_left: NUMBER,
    agent_version: TEXT,
  }),
  certificate: v.object({ left_share: v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(1))), not_after: TEXT }),
  verdict: v.object({
    standing: v.picklist(['admitted', 'verdict', 'absent', 'pending', 'weak', 'refused', 'unknown']),
    code: TEXT,
    message: TEXT,
  }),
})

/** `status`. */
export const STATUS_DOCUMENT = documentSchema(
  'towerkeep/status/v1',
  v.object({
    hosts: COUNT,
    admitted: COUNT,
    tpm_percent: PERCENT,
    join_token_percent: PERCENT,
    mtls_percent: PERCENT,
    plain_http_percent: PERCENT,
  }),
  STATUS_ROW_SCHEMA,
)

/** `explain` of a host. */
export const EXPLAIN_DOCUMENT = documentSchema(
  'towerkeep/explain/v1',
  v.object({ hosts: COUNT, broken: COUNT }),
  v.object({
    host: v.string(),
    agent_id: v.string(),
    spiffe_id: v.string(),
    chain: v.array(
      v.object({
        link: v.string(),
        standing: v.picklist(['ok', 'broken', 'unknown', 'unmarked']),
        source: v.string(),
        at: TEXT,
        fact: v.string(),
        codes: v.array(v.string()),
        next: TEXT,
      }),
    ),
  }),
)

/** `explain` of a code. */
export const EXPLAIN_CODE_DOCUMENT = documentSchema(
  'towerkeep/explain-code/v1',
  v.object({}),
  v.object({ code: v.string(), meaning: v.string(), cause: v.string(), next: v.string() }),
)

/** `help`. */
export const HELP_DOCUMENT = documentSchema(
  'towerkeep/help/v1',
  v.object({ verbs: COUNT }),
  v.object({
    name: v.string(),
    kind: v.picklist(['read', 'change', 'daemon', 'tool']),
    summary: v.string(),
    arguments: v.array(v.object({ name: v.string(), help: v.string(), required: v.boolean() })),
    flags: v.array(
      v.object({
        name: v.string(),
        kind: v.picklist(['switch', 'text', 'choice', 'duration', 'integer', 'list']),
        help: v.string(),
        default: TEXT,
        choices: v.array(v.string()),
      }),
    ),
  }),
)
