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
  {
    id: 'claims:ek:dates',
    promise:
      "a maker's CA or an EK certificate that is over is warned of at Configure and later and refuses nobody; with require_ek_dates it is KL-EK-DATES, never a verdict",
  },
  { id: 'claims:ek:unreadable-dates', promise: 'dates that are none (a month 13) never count as valid' },
  {
    id: 'claims:ek:key-forms',
    promise:
      'EK certificates with compressed points, explicit parameters or RSAES-OAEP keys are for the key they hold; AKs on P-521 are taken',
  },
  {
    id: 'claims:ek:issuer-unknown',
    promise:
      'an EK certificate of a CA that is not in ek_ca_path, as those made on the die, is no verdict: KL-EK-ISSUER-UNKNOWN',
  },
  {
    id: 'claims:keylime:versions',
    promise:
      'Keylime 7.12 is the oldest that works: nodes of every release from then on are admitted, an older one is named as too old',
  },
  {
    id: 'claims:opinion:ttl',
    promise:
      "the verifier's opinion of a key stands for 24 h, so a node that returns every 30 minutes costs one verifier request, and falls with a new enrolment or another key of the ID",
  },
  {
    id: 'claims:fate:one-request',
    promise:
      'one failed request, to /version too, costs the node that made it its attestation and nobody else, with one verifier or registrar and with several',
  },
  {
    id: 'claims:fate:last-one-out',
    promise: 'a request that several wait for ends when the last of them has gone, in both halves',
  },
  {
    id: 'claims:cache:one-version',
    promise:
      "a node is admitted only on a registrar record read together with the verifier's, so that an ID that passed to another TPM admits nobody on that one's health; reads that have begun are not joined",
  },
  {
    id: 'claims:fate:strangers',
    promise:
      'callers that nobody knows stand in a lane of their own, in turn by address; nothing they registered is kept, their IDs make the verifier list its agents once a minute at most, and one ID holds four streams at most',
  },
]
