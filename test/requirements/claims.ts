/**
 * Claims as strong as their source, faults of ours that are no verdicts, and nobody paying for another.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const CLAIMS: readonly Requirement[] = [
  {
    id: 'claims:policy:measured-boot',
    promise:
      "a boot log counts as compared only where the operator names the verifier's measured boot policy; unsaid: 'policy:measured-boot-enrolled' and a warning; accept-all: nothing",
  },
  {
    id: 'claims:policy:pcr',
    promise:
      'require_policy = ["pcr"] wants a PCR of the boot (0-9, 11-14) compared with values that an untouched PCR does not have; Keylime\'s own example is refused',
  },
]
