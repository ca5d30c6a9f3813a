/**
 * PCR values of a quote that we proved ourselves, against the values that the enrolled policy allows: so that a node is
 * refused at the moment of its attestation, not at the verifier's next look.
 *
 * @module
 */
import { type Reason, reasonFor } from './decision.ts'
import type { TpmPolicy } from './policy.ts'

/** Values of one bank, proved by the quote of this attestation. */
export interface ProvedPcrs {
  /** Such as `sha256`. */
  readonly bank: string
  /** By PCR number. */
  readonly values: ReadonlyMap<number, Uint8Array>
}

/**
 * Compares.
 *
 * @param policy The enrolled policy, as far as it can be read.
 * @param proved The values, where the quote was ours to check.
 * @returns One reason for each PCR that has none of its allowed values. Values of another bank's size say nothing here.
 */
export function provedPcrReasons(
  policy: TpmPolicy | undefined,
  proved: ProvedPcrs | undefined,
): readonly Reason<'KL-PCR-DIFFERS'>[] {
  if (policy === undefined || proved === undefined) return []
  return [...proved.values].flatMap(([pcr, value]) => {
    const found = Buffer.from(value).toString('hex')
    const allowed = (policy.allowed.get(pcr) ?? []).filter(({ length }) => length === found.length)
    const isFine = allowed.length === 0 || isOnlyQuoted(policy, pcr) || allowed.includes(found)
    return isFine ? [] : [reasonFor('KL-PCR-DIFFERS', { pcr, found, allowed: allowed.slice(0, 3).join(' or ') })]
  })
}

// What is not in the mask the verifier does not compare either.
function isOnlyQuoted({ mask }: TpmPolicy, pcr: number): boolean {
  return ((mask >>> pcr) & 1) === 0
}
