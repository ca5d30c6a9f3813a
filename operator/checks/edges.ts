/**
 * Which findings follow from which: a cause is shown, what follows from it is counted.
 *
 * @module
 */
import type { FindingId } from '../findings/catalogue.ts'
import type { Finding } from '../findings/finding.ts'

/** Consequence to its possible causes. */
const EDGES: Partial<Readonly<Record<FindingId, readonly FindingId[]>>> = {
  'TK-KL-ABSENT': [
    'TK-CERT-EXPIRED',
    'TK-CERT-FILE',
    'TK-CERT-CHAIN',
    'TK-CERT-KEY',
    'TK-CERT-READ',
    'TK-CONF-CONTACT',
    'TK-KL-FROZEN',
    'TK-ID-SAME-PLACE',
    'TK-BOOT-PROTECT',
    'TK-KL-VERSION',
  ],
  'TK-KL-PENDING': ['TK-KL-NEVER', 'TK-CERT-CHAIN', 'TK-CONF-CONTACT', 'TK-ID-SAME-PLACE'],
  'TK-KL-VERDICT': ['TK-ID-SAME-PLACE'],
  'TK-KL-NEVER': ['TK-CERT-CHAIN', 'TK-CONF-CONTACT', 'TK-ID-SAME-PLACE'],
  'TK-KL-NOT-ENROLLED': ['TK-ID-RANDOM', 'TK-ID-DEFAULT', 'TK-ID-SHARED-EK'],
  'TK-KL-REFUSED': ['TK-ID-DEFAULT', 'TK-KL-NEVER', 'TK-ID-EK-CHAIN'],
  'TK-KL-EK-MISMATCH': ['TK-ID-SHARED-EK'],
  'TK-SPIRE-ABSENT': [
    'TK-KL-VERDICT',
    'TK-KL-ABSENT',
    'TK-KL-PENDING',
    'TK-KL-NOT-ENROLLED',
    'TK-KL-WEAK-POLICY',
    'TK-KL-REFUSED',
    'TK-KL-FROZEN',
    'TK-KL-NEVER',
    'TK-BUNDLE-STALE',
    'TK-PLUGIN-SUM',
    'TK-CONF-PLUGIN',
    'TK-CERT-CHAIN',
    'TK-CERT-READ',
    'TK-CERT-KEY',
    'TK-ID-DEFAULT',
  ],
  'TK-SPIRE-EXPIRED': [
    'TK-KL-VERDICT',
    'TK-KL-ABSENT',
    'TK-BUNDLE-STALE',
    'TK-KL-FROZEN',
    'TK-CONF-PLUGIN',
    'TK-PLUGIN-SUM',
  ],
  'TK-SPIRE-BANNED': ['TK-KL-VERDICT'],
  'TK-ID-ORPHAN': ['TK-ID-RANDOM', 'TK-ID-SHARED-EK'],
  'TK-ID-SHARED-EK': ['TK-ID-RANDOM'],
  'TK-GC-RUBBISH': [
    'TK-ID-RANDOM',
    'TK-ID-SHARED-EK',
    'TK-ID-ORPHAN',
    'TK-ID-DEFAULT',
    'TK-ID-SAME-PLACE',
    'TK-KL-NEVER',
    'TK-KL-NOT-ENROLLED',
  ],
  'TK-CERT-EXPIRED': ['TK-CERT-FILE'],
  'TK-CERT-LOW': ['TK-CERT-FILE-LOW'],
  'TK-CERT-FILE': ['TK-CONF-INVALID', 'TK-CONF-LIST'],
  'TK-KL-NOTIFY-AGENT': ['TK-CONF-INVALID', 'TK-CONF-LIST'],
  'TK-ID-EK-UNCHECKED': ['TK-CONF-PLUGIN', 'TK-CONF-INVALID'],
  'TK-ID-DEFAULT': ['TK-CONF-INVALID', 'TK-CONF-WRONG-FILE'],
  'TK-SPIRE-TELEMETRY': ['TK-CONF-INVALID'],
  'TK-BUNDLE-REBOOTSTRAP': ['TK-CONF-INVALID'],
  'TK-CERT-CHAIN': ['TK-CERT-FILE', 'TK-CONF-LIST', 'TK-CONF-INVALID', 'TK-CERT-OLD'],
  'TK-SRC-VERIFIER': [
    'TK-KL-VERSION',
    'TK-CONF-INVALID',
    'TK-CONF-LIST',
    'TK-CERT-FILE',
    'TK-CERT-KEY',
    'TK-CERT-CHAIN',
    'TK-NET-NAME',
  ],
  'TK-SRC-REGISTRAR': [
    'TK-KL-VERSION',
    'TK-CONF-INVALID',
    'TK-CONF-LIST',
    'TK-CERT-FILE',
    'TK-CERT-KEY',
    'TK-CERT-CHAIN',
    'TK-NET-NAME',
  ],
  'TK-SRC-SPIRE': ['TK-CONF-INVALID', 'TK-PLUGIN-SUM', 'TK-CONF-PLUGIN'],
  'TK-CONF-UNKNOWN-KEY': ['TK-CONF-WRONG-FILE'],
}

/** The same, where both are about one file. */
const EDGES_OF_A_FILE: typeof EDGES = {
  'TK-PLUGIN-SUM': ['TK-PLUGIN-SWAPPED'],
}

/**
 * Links findings to their causes.
 *
 * @param findings In any order.
 * @returns The same, each with the causes that are among them: of the same host, or of none in particular.
 */
export function linked(findings: readonly Finding[]): readonly Finding[] {
  return findings.map((one) => {
    const causes = findings.filter((other) => other !== one && isCause(other, one))
    const because = [...new Set([...one.because, ...causes.map(({ id }) => id)])]
    return { ...one, because }
  })
}

function isCause(other: Finding, one: Finding): boolean {
  if (EDGES_OF_A_FILE[one.id]?.includes(other.id) === true && other.subject === one.subject) return true
  const isSameHost = other.host === null || one.host === null || other.host === one.host
  return EDGES[one.id]?.includes(other.id) === true && isSameHost
}
