/**
 * Checks of this machine's clock against those of the services, by the dates of their answers.
 *
 * @module
 */
import { type Finding, finding } from '../findings/finding.ts'
import type { Check } from './check.ts'
import type { View } from './view.ts'

/** A difference below this is the time of the question. */
const SKEW_SECONDS = 5

/** The checks. */
export const CLOCK_CHECKS: readonly Check[] = [
  {
    id: 'clock-verifier',
    area: 'clock',
    finds: ['TK-CLOCK-SKEW'],
    needs: 'verifier',
    blind: 'clocks of hosts: the TPM counts in its own time',
    run: skewFindings,
  },
]

function skewFindings({ fleet, now }: View): readonly Finding[] {
  const record = fleet.hosts.find(({ record: known }) => known?.value.receivedAt !== undefined)?.record
  const theirs = record?.value.receivedAt
  if (record === undefined || theirs === undefined) return []
  const skew = Math.round(now / 1000 - theirs)
  if (Math.abs(skew) <= SKEW_SECONDS) return []
  const message = `its clock is ${Math.abs(skew)} s ${skew > 0 ? 'behind' : 'ahead of'} this machine's`
  return [finding('TK-CLOCK-SKEW', { subject: record.verifier, message, evidence: { skew_seconds: skew } })]
}
