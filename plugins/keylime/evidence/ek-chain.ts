/**
 * The chain by which a TPM maker vouches for an EK: the registrar's EK certificate against a set of trusted CA certificates.
 *
 * Dates decide only when asked to: nobody can renew an EK certificate, makers let their CAs expire while their TPMs work,
 * and a wrong clock of ours would cut off all nodes of a maker at once.
 *
 * @see TCG EK Credential Profile 2.5, section 3.2
 * @module
 */

import { X509Certificate } from 'node:crypto'
import type { TpmPublic } from '@tower-of-omens/tpm'
import { dateFault, dateStage, datesOf } from './certificate-dates.ts'
import { certifiedKey } from './certified-key.ts'
import type { EkAnchors } from './ek-anchors.ts'

/** Who vouches for an EK. */
export interface EkChain {
  /** SHA-256 of the topmost trusted certificate's DER, hex: the CA that stays when intermediates change. */
  readonly caFingerprint: string
  /** The same of every trusted certificate on the way, from the one that issued the EK certificate upwards. */
  readonly caFingerprints: readonly string[]
  /** When the first certificate of the chain expires, milliseconds since the epoch. */
  readonly validUntil: number
  /** What is outside its dates, where dates do not decide; absent when nothing is. */
  readonly outOfDate?: string
}

/**
 * Why nobody vouches. `untrusted`: the certificate is none of a trusted maker for this EK. `unreadable`: we
 * cannot read it, which says nothing of the node. `issuer-unknown`: its maker's
 * certificate is not among ours, which says nothing of the node. `dates`: the chain is right, the time is not.
 */
export interface EkFault {
  readonly fault: 'untrusted' | 'unreadable' | 'issuer-unknown' | 'dates'
  /** Completes "its EK certificate is not accepted: ". */
  readonly reason: string
}

/** How dates are judged. */
export interface EkDates {
  readonly now: Date
  /** True: the certificates must be within their dates. */
  readonly decide: boolean
}

const EK_CERTIFICATE_PURPOSE = '2.23.133.8.1'
const MAX_CHAIN = 8

/**
 * Finds who vouches for an EK.
 *
 * Node reads single certificates, so the critical extension with the TPM's maker (a directory name as alternative
 * name), which path validation elsewhere stumbles over, does no harm here.
 *
 * @param ekCert DER of the registrar record's EK certificate.
 * @param ek The EK it must certify.
 * @param anchors Trusted certificates.
 * @param dates How their dates count.
 * @returns The chain, or why there is none: never a chain for a certificate of another key, or with unreadable dates.
 */
export function judgeEkChain(ekCert: Uint8Array, ek: TpmPublic, anchors: EkAnchors, dates: EkDates): EkChain | EkFault {
  const certificate = readEkCertificate(ekCert, ek)
  if ('fault' in certificate) return certificate
  const own = dateFault(certificate, dates.now.getTime())
  if (own !== undefined && (dates.decide || dateStage(certificate, 0) === 'unreadable')) {
    return { fault: 'dates', reason: `it is ${own}` }
  }
  const chain = climb(certificate, anchors, dates)
  const top = chain.at(-1)
  if (top === undefined) return whyNobody(certificate, anchors, dates)
  const late = chain.map((issuer) => lateIssuer(issuer, dates)).find((text) => text !== undefined)
  const outOfDate = own === undefined ? late : `it is ${own}`
  return {
    caFingerprint: fingerprint(top),
    caFingerprints: chain.map((issuer) => fingerprint(issuer)),
    validUntil: Math.min(...[certificate, ...chain].map((one) => datesOf(one).to)),
    ...(outOfDate !== undefined && { outOfDate }),
  }
}

function readEkCertificate(der: Uint8Array, ek: TpmPublic): X509Certificate | EkFault {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(der)
  } catch {
    return { fault: 'unreadable', reason: 'it does not parse' }
  }
  if (certificate.ca) return untrusted('it is a CA certificate')
  // The extended purposes; some makers leave them out, but another purpose is another certificate.
  const purposes: readonly string[] | undefined = certificate.keyUsage
  if (purposes !== undefined && !purposes.includes(EK_CERTIFICATE_PURPOSE)) {
    return untrusted(`its extended key usage is ${purposes.join(', ')}, expected ${EK_CERTIFICATE_PURPOSE}`)
  }
  const key = certifiedKey(der, ek)
  if (key === 'same') return certificate
  if (key === 'other') return untrusted('it is for another key than the registered EK')
  return { fault: 'unreadable', reason: 'its public key is in no form that is known here' }
}

function climb(certificate: X509Certificate, anchors: EkAnchors, dates: EkDates): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let below = certificate
  while (chain.length < MAX_CHAIN) {
    const issuer = issuerOf(below, anchors, dates, chain)
    if (issuer === undefined) break
    chain.push(issuer)
    // A root ends the climb: of one that was renewed under its key, either would be the issuer of the other.
    if (issuer.issuer === issuer.subject) break
    below = issuer
  }
  return chain
}

// Of several certificates of one CA the one within its dates comes first; another one only where dates do not decide.
function issuerOf(
  below: X509Certificate,
  anchors: EkAnchors,
  { now, decide }: EkDates,
  chain: readonly X509Certificate[],
): X509Certificate | undefined {
  const issuers = anchors.certificates.filter(
    (candidate) =>
      !chain.some((used) => used.fingerprint256 === candidate.fingerprint256) &&
      dateStage(candidate, 0) !== 'unreadable' &&
      isIssuedBy(below, candidate),
  )
  const inForce = issuers.find((issuer) => dateFault(issuer, now.getTime()) === undefined)
  return decide ? inForce : (inForce ?? issuers[0])
}

// `checkIssued` compares names, key identifiers and the issuer's key usage; `verify` the signature.
function isIssuedBy(below: X509Certificate, candidate: X509Certificate): boolean {
  try {
    return below.checkIssued(candidate) && below.verify(candidate.publicKey)
  } catch {
    return false
  }
}

function lateIssuer(issuer: X509Certificate, { now }: EkDates): string | undefined {
  const fault = dateFault(issuer, now.getTime())
  return fault === undefined ? undefined : `the certificate of ${oneLine(issuer.subject)} in ek_ca_path is ${fault}`
}

// A name and a key identifier that are ours, with a signature that is not, are a forgery; a name that is not ours is not.
function whyNobody(certificate: X509Certificate, anchors: EkAnchors, dates: EkDates): EkFault {
  const late = anchors.certificates.find((one) => isIssuedBy(certificate, one))
  const issuer = oneLine(certificate.issuer)
  if (late !== undefined) return { fault: 'dates', reason: lateIssuer(late, dates) ?? 'its issuer is out of date' }
  if (anchors.certificates.some((one) => certificate.checkIssued(one) && hasReadableKey(one))) {
    return untrusted(`it names ${issuer} as its issuer and is not signed by it`)
  }
  return {
    fault: 'issuer-unknown',
    reason: `its issuer is not in ek_ca_path: ${issuer} (${anchors.certificates.length} CA certificates are there)`,
  }
}

// With a key that is of no use here, a signature that does not verify says nothing.
function hasReadableKey(issuer: X509Certificate): boolean {
  try {
    return issuer.publicKey.type === 'public'
  } catch {
    return false
  }
}

function untrusted(reason: string): EkFault {
  return { fault: 'untrusted', reason }
}

function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}
