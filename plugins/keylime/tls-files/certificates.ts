/**
 * Certificates from PEM text, and who issued whom.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { hasDates } from './certificate-life.ts'
import { readPem } from './pem.ts'

/** The certificates of a PEM text, and what is wrong with it. */
export interface CertificatesRead {
  readonly certificates: readonly X509Certificate[]
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

/** What is wrong with a block of that label: it may say that the certificate is rejected, which would be lost. */
export const TRUSTED_PROBLEM =
  'is a TRUSTED CERTIFICATE with marks of its own for what it is trusted and rejected, which are not obeyed here; ' +
  'leave out what is rejected, and write the rest without marks: openssl x509 -in FILE -out FILE.pem'

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
    if (block.label === 'TRUSTED CERTIFICATE') problems.push(`the block in line ${block.line} ${TRUSTED_PROBLEM}`)
    else if (/^(X509 )?CERTIFICATE$/.test(block.label)) {
      const read = parseCertificate(block.der)
      if (read === undefined) problems.push(`the certificate in line ${block.line} cannot be parsed`)
      // A month 13 parses, and no comparison with a time that is none ever says "expired".
      else if (!hasDates(read)) {
        problems.push(`the certificate in line ${block.line} has dates that cannot be read`)
      } else certificates.push(read)
    } else if (block.label.endsWith('PRIVATE KEY')) {
      warnings.push(`holds a private key in line ${block.line}, which is not needed there`)
    }
  }
  if (certificates.length === 0 && problems.length === 0) {
    problems.push(`holds no certificate, only ${[...new Set(blocks.map((block) => block.label))].join(', ')}`)
  }
  return { certificates, problems, warnings }
}

function parseCertificate(bytes: Buffer): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes)
  } catch {
    return undefined
  }
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
