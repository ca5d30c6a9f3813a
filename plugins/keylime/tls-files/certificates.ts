/**
 * Certificates from PEM text: their names in one line, how much of their life is left, who issued whom.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { readPem } from './pem.ts'

/** Is the share of a certificate's life below which it is called soon expiring: renewal is due at two thirds. */
export const SOON_SHARE = 1 / 3

/** Says where in its life a certificate is. */
export type LifeStage = 'not-yet-valid' | 'valid' | 'expires-soon' | 'expired'

/** Holds the certificates of a PEM text and what is wrong with it. */
export interface CertificatesRead {
  readonly certificates: readonly X509Certificate[]
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * Reads every certificate of a PEM text.
 *
 * @param text Contents of one file.
 * @returns Certificates in file order; problems and warnings without the path.
 */
export function readCertificates(text: string): CertificatesRead {
  const { blocks, problems: pemProblems } = readPem(text)
  const certificates: X509Certificate[] = []
  const problems = [...pemProblems]
  const warnings: string[] = []
  for (const block of blocks) {
    if (/^(X509 |TRUSTED )?CERTIFICATE$/.test(block.label)) {
      const read = parseCertificate(block.label === 'TRUSTED CERTIFICATE' ? block.pem : block.der)
      if (read === undefined) problems.push(`the certificate in line ${block.line} cannot be parsed`)
      else certificates.push(read)
    } else if (block.label.endsWith('PRIVATE KEY')) {
      warnings.push(`holds a private key in line ${block.line}, which is not needed there`)
    }
  }
  if (certificates.length === 0 && problems.length === 0) {
    problems.push(`holds no certificate, only ${[...new Set(blocks.map((block) => block.label))].join(', ')}`)
  }
  return { certificates, problems, warnings }
}

function parseCertificate(bytes: string | Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes)
  } catch {
    return undefined
  }
}

/**
 * Tells where in its life a certificate is.
 *
 * @param certificate The certificate.
 * @param now Milliseconds since the epoch.
 * @returns The stage; `expires-soon` when less than a third of its life is left.
 */
export function lifeStage(certificate: X509Certificate, now: number): LifeStage {
  const [from, to] = lifeOf(certificate)
  if (now < from) return 'not-yet-valid'
  if (now > to) return 'expired'
  return lifeLeftShare(certificate, now) < SOON_SHARE ? 'expires-soon' : 'valid'
}

/**
 * Computes how much of a certificate's life is left.
 *
 * @param certificate The certificate.
 * @param now Milliseconds since the epoch.
 * @returns 1 at its first moment, 0 at or after its last.
 */
export function lifeLeftShare(certificate: X509Certificate, now: number): number {
  const [from, to] = lifeOf(certificate)
  return to <= from ? 0 : Math.min(1, Math.max(0, (to - now) / (to - from)))
}

/**
 * Says in words when a certificate begins or ends.
 *
 * @param certificate The certificate.
 * @param now Milliseconds since the epoch.
 * @returns Such as `expired 12 hours ago (2026-02-12T03:00:00Z)` or `expires in 7 hours (...), 29 % of its life left`.
 */
export function lifeInWords(certificate: X509Certificate, now: number): string {
  const [from, to] = lifeOf(certificate)
  if (now < from) return `is not valid before ${isoSeconds(from)}, in ${spanInWords(from - now)}; is the clock right?`
  if (now > to) return `expired ${spanInWords(now - to)} ago (${isoSeconds(to)})`
  const share = Math.round(lifeLeftShare(certificate, now) * 100)
  return `expires in ${spanInWords(to - now)} (${isoSeconds(to)}), ${share} % of its life left`
}

/**
 * Tells whether one certificate's signature was made by another's key.
 *
 * @param certificate The certificate signed.
 * @param issuer The candidate.
 * @returns True when names, key identifiers and signature fit.
 */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.issuer === issuer.subject && certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/**
 * Tells whether a certificate names itself as its issuer.
 *
 * The names decide, not the signature: that of a Keylime agent's own certificate does not verify, since the agent adds
 * the names after it has signed, and no TLS library looks at the signature of a trust anchor.
 *
 * @param certificate The certificate.
 * @returns True for a root and for a certificate made by its own owner.
 * @see rust-keylime 3a4d5654, keylime/src/crypto/x509.rs
 */
export function isSelfIssued(certificate: X509Certificate): boolean {
  return certificate.issuer === certificate.subject
}

/**
 * Follows a certificate to its issuers as far as the candidates go.
 *
 * @param leaf The certificate to start from.
 * @param candidates Possible issuers, in order of preference.
 * @returns The chain from the leaf upwards, without repetition; its last member is its own issuer or lacks its issuer.
 */
export function chainOf(leaf: X509Certificate, candidates: readonly X509Certificate[]): readonly X509Certificate[] {
  const chain = [leaf]
  for (let last = leaf; !isSelfIssued(last); ) {
    const issuer = candidates.find((one) => !chain.includes(one) && isIssuedBy(last, one))
    if (issuer === undefined) break
    chain.push(issuer)
    last = issuer
  }
  return chain
}

/**
 * Shortens a certificate's SHA-256 fingerprint for messages.
 *
 * @param certificate The certificate.
 * @returns The first 16 hexadecimal digits, lower case.
 */
export function shortFingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').slice(0, 16).toLowerCase()
}

function lifeOf(certificate: X509Certificate): readonly [from: number, to: number] {
  return [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
}

function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

function spanInWords(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000)
  if (minutes < 120) return `${minutes} minutes`
  const hours = Math.round(minutes / 60)
  return hours < 72 ? `${hours} hours` : `${Math.round(hours / 24)} days`
}
