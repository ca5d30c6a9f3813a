/**
 * What a run of `make soak` came to, and what is wrong with it.
 *
 * @module
 */
import type { ChangeCounts } from './endurance-changes.ts'
import type { MachineLoad } from './machine-load.ts'
import { spreadOf } from './statistics.ts'

/** One look at the plugin. */
export interface EnduranceLook {
  readonly second: number
  readonly attestations: number
  readonly rssMb: number
  readonly descriptors: number
}

/** What a run came to. */
export interface EnduranceResult {
  readonly attestations: number
  /** How many of them with evidence straight from the TPM. */
  readonly withTpmEvidence: number
  /** How many were told `UNAVAILABLE` while the verifier was away, and succeeded when they came again. */
  readonly cameAgain: number
  readonly changes: ChangeCounts
  /** Messages of those that failed, with their number. */
  readonly failures: Readonly<Record<string, number>>
  readonly looks: readonly EnduranceLook[]
  readonly load: MachineLoad
}

/** Memory may still settle while the engine warms up; from the second third to the last it must stay within this share. */
const MAX_GROWTH = 1.15
const MAX_MORE_DESCRIPTORS = 8

/**
 * Says what is wrong with a run.
 *
 * @returns One line for each fault; none when it held.
 */
export function faultsOf(result: Pick<EnduranceResult, 'failures' | 'looks'>): readonly string[] {
  const faults = Object.entries(result.failures).map(([message, count]) => `${count} attestations failed: ${message}`)
  const settled = result.looks.slice(Math.floor(result.looks.length / 3))
  const half = Math.ceil(settled.length / 2)
  const [before, after] = [settled.slice(0, half), settled.slice(half)]
  if (before.length === 0 || after.length === 0) return [...faults, 'nobody looked at the plugin']
  const [rss, laterRss] = [median(before, (one) => one.rssMb), median(after, (one) => one.rssMb)]
  if (laterRss > rss * MAX_GROWTH) faults.push(`memory grew from ${rss.toFixed(0)} to ${laterRss.toFixed(0)} MB`)
  // One by one they come and go with the connections of a pool.
  const [open, laterOpen] = [median(before, (one) => one.descriptors), median(after, (one) => one.descriptors)]
  if (laterOpen > open + MAX_MORE_DESCRIPTORS) {
    faults.push(`descriptors grew from ${open.toFixed(0)} to ${laterOpen.toFixed(0)}`)
  }
  return faults
}

function median(looks: readonly EnduranceLook[], measure: (look: EnduranceLook) => number): number {
  return spreadOf(looks.map(measure)).median
}
