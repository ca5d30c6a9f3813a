/**
 * Findings about one host: how it stands with Keylime and SPIRE.
 *
 * @module
 */
import type { FindingEntry } from './entry.ts'

/** The entries. */
export const HOST_FINDINGS = {
  'TK-KL-VERDICT': {
    severity: 'crit',
    meaning: 'Keylime failed the host: its quote or what it measured is wrong.',
    cause: 'Firmware, kernel or a file differs from the enrolled policy, or the TPM lost its state.',
    next: 'towerkeep explain HOST; if the change was meant, enrol the new values',
    incidents: ['P26'],
  },
  'TK-KL-ABSENT': {
    severity: 'crit',
    meaning: 'The verifier cannot reach the Keylime agent, or has had no success for too long.',
    cause: 'The host or its Keylime agent is down, its certificate expired, or the network is cut.',
    next: 'start the Keylime agent; when it answers, keylime needs a reactivate',
    incidents: ['P03', 'P05'],
  },
  'TK-KL-PENDING': {
    severity: 'warn',
    meaning: 'The host is enrolled, and its first quote has not passed yet.',
    cause: 'It was just enrolled or reactivated, or the verifier does not poll it.',
    next: 'wait for two quote intervals; then towerkeep explain HOST',
    incidents: ['P02'],
  },
  'TK-KL-NOT-ENROLLED': {
    severity: 'warn',
    meaning: 'The registrar knows the host and no verifier does: nobody quotes it.',
    cause: 'It was registered and never added, or the verifier lost its record.',
    next: 'enrol it with a policy',
    incidents: ['P23'],
  },
  'TK-KL-WEAK-POLICY': {
    severity: 'crit',
    meaning: 'The enrolled policy compares less than the plugin demands, or nothing at all.',
    cause: 'PCRs in the mask without allowed values are quoted and never compared.',
    next: 'enrol values for the PCRs, a boot policy or a runtime policy',
    incidents: ['P01'],
  },
  'TK-KL-REFUSED': {
    severity: 'crit',
    meaning: 'The plugin would refuse the host for another reason than its measurements.',
    cause: 'See the code of the clause in the message.',
    next: 'towerkeep explain with that code',
    incidents: [],
  },
  'TK-SPIRE-ABSENT': {
    severity: 'warn',
    meaning: 'Keylime vouches for the host, and SPIRE has no agent for it.',
    cause: 'The SPIRE agent is down, cannot reach the server, or was evicted and has not come back.',
    next: 'look at the SPIRE agent on the host',
    incidents: ['P08'],
  },
  'TK-SPIRE-BANNED': {
    severity: 'warn',
    meaning: 'The SPIRE agent is banned: nothing is issued to the host.',
    cause: 'towerkeep or a person cut the host off.',
    next: 'when the host is healthy again, delete the banned agent; it comes back under the same ID',
    incidents: [],
  },
  'TK-SPIRE-EXPIRED': {
    severity: 'warn',
    meaning: "The SPIRE agent's SVID has ended.",
    cause: 'The agent has been down or away for longer than its SVID lives.',
    next: 'look at the SPIRE agent on the host',
    incidents: ['P15'],
  },
  'TK-SPIRE-UNDECIDED': {
    severity: 'crit',
    meaning: 'SPIRE still has an attested agent for a host that the gate refuses.',
    cause: 'Nothing watches, or watch is in mode observe.',
    next: 'start towerkeep watch in mode ban',
    incidents: ['P25'],
  },
  'TK-CERT-EXPIRED': {
    severity: 'crit',
    meaning: "The Keylime agent's certificate has ended: the verifier cannot quote the host.",
    cause: 'Nobody renewed it.',
    next: 'renew the certificate and restart the Keylime agent',
    incidents: ['P10'],
  },
  'TK-CERT-LOW': {
    severity: 'warn',
    meaning: "Less than a quarter of the Keylime agent's certificate life is left.",
    cause: 'Renewal is due at a third, so it failed or is not set up.',
    next: 'renew the certificate and restart the Keylime agent',
    incidents: ['P10'],
  },
  'TK-KL-EK-MISMATCH': {
    severity: 'crit',
    meaning: 'The agent ID is said to be the hash of an endorsement key, and is not of the registered one.',
    cause: 'The ID was copied from another host, or another TPM registered under it.',
    next: 'remove the registration and let the host register anew with uuid = "hash_ek"',
    incidents: ['P06'],
  },
} as const satisfies Readonly<Record<string, FindingEntry>>
