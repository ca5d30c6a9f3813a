/**
 * The JSON documents by schema: what consumers may rely on within `/v1`.
 *
 * Fields are only added, words of an enumeration may be added (treat an unknown one as the worst), an ID of a finding
 * never changes its meaning.
 *
 * @module
 */
import * as v from 'valibot'

const FACT = v.union([v.string(), v.number(), v.boolean(), v.null()])

/** One finding. */
export const FINDING_SCHEMA = v.object({
  id: v.pipe(v.string(), v.regex(/^TK-[A-Z0-9-]+$/)),
  severity: v.picklist(['ok', 'info', 'warn', 'crit', 'unknown']),
  host: v.nullable(v.string()),
  subject: v.string(),
  message: v.string(),
  evidence: v.record(v.string(), FACT),
  fix: v.object({ command: v.optional(v.string()), text: v.string() }),
  because: v.array(v.string()),
  doc: v.string(),
  incidents: v.array(v.string()),
})

/**
 * Makes the schema of a document.
 *
 * @param name Such as `towerkeep/status/v1`.
 * @param summary Schema of its summary.
 * @param item Schema of an item.
 * @returns The schema.
 */
export function documentSchema<S extends v.GenericSchema, I extends v.GenericSchema>(
  name: string,
  summary: S,
  item: I,
) {
  return v.object({
    schema: v.literal(name),
    tool: v.object({ version: v.string(), commit: v.string() }),
    at: v.pipe(v.string(), v.isoTimestamp()),
    exit: v.pipe(v.number(), v.integer()),
    summary,
    items: v.array(item),
    findings: v.array(FINDING_SCHEMA),
    unknown: v.array(v.object({ what: v.string(), why: v.string() })),
    error: v.optional(v.object({ code: v.string(), message: v.string() })),
  })
}

/** A verb that could not go on. */
export const ERROR_DOCUMENT = documentSchema('towerkeep/error/v1', v.object({}), v.object({}))
