/**
 * Baselines that were taken: PCR values of hosts with the kernel and packages they ran, kept for comparison.
 *
 * @module
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { readIfThere, snippetsIn } from '../site/files.ts'

/** Where they are kept. */
export const BASELINES_FOLDER = '/var/lib/towerkeep/baselines'

const BASELINE = v.object({
  schema: v.literal('towerkeep/baseline/v1'),
  host: v.string(),
  agent_id: v.string(),
  /** ISO 8601. */
  at: v.string(),
  /** PCR to value, hex. */
  pcrs: v.record(v.string(), v.string()),
  kernel: v.optional(v.string()),
  /** Digests by PCR of each event of the boot log, in order, with what it measures. */
  events: v.optional(v.array(v.object({ pcr: v.number(), digest: v.string(), what: v.string() }))),
  /** Package to version. */
  packages: v.optional(v.record(v.string(), v.string())),
})

/** One baseline. */
export type Baseline = v.InferOutput<typeof BASELINE>

/** A baseline with the file it came from. */
export interface StoredBaseline extends Baseline {
  readonly file: string
}

/**
 * Reads every baseline.
 *
 * @param root Prefix of every usual path.
 * @returns Those that can be read, by file name.
 */
export function readBaselines(root: string): readonly StoredBaseline[] {
  return snippetsIn(join(root, BASELINES_FOLDER)).flatMap((file) => {
    const read = readIfThere(file)
    const parsed = read !== undefined && 'text' in read ? v.safeParse(BASELINE, jsonOf(read.text)) : undefined
    return parsed?.success === true ? [{ ...parsed.output, file }] : []
  })
}

/**
 * Writes a host's baseline in place of its last one.
 *
 * @param folder Where.
 * @param baseline The baseline.
 * @returns The file.
 */
export function writeBaseline(folder: string, baseline: Baseline): string {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const file = join(folder, `${baseline.host.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.json`)
  writeFileSync(`${file}.new`, `${JSON.stringify(baseline, null, 2)}\n`, { mode: 0o644 })
  renameSync(`${file}.new`, file)
  return file
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
