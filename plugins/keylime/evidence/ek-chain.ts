/**
 * Does a TPM maker vouch for an EK: the registrar's EK certificate against a set of trusted CA certificates.
 *
 * @see TCG EK Credential Profile 2.5, section 3.2
 * @module
 */

import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { KeylimeError } from '../basis/errors.ts'

/** Holds the trusted CA certificates; each of them is trusted by itself, an intermediate without its root too. */
export interface EkAnchors {
  readonly certificates: readonly X509Certificate[]
}

/** Names who vouches for an EK. */
export interface EkChain {
  /** SHA-256 of the topmost trusted certificate's DER, hex: the CA that stays when intermediates change. */
  readonly caFingerprint: string
  /** The same of every trusted certificate on the way, from the one that issued the EK certificate upwards. */
  readonly caFingerprints: readonly string[]
  /** When the first certificate of the chain expires, milliseconds since the epoch. */
  readonly validUntil: number
}

const EK_CERTIFICATE_PURPOSE = '2.23.133.8.1'
const MAX_FILE_BYTES = 1_048_576
const MAX_FILES = 2_000
const MAX_CHAIN = 8
const PEM_BLOCK = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g
const CERTIFICATE_NAME = /\.(?:pem|crt|cer|cert|der)$/i

/**
 * Reads trusted CA certificates from a PEM or DER file, or from every certificate file of a folder.
 *
 * Keylime's own collection, `tpm_cert_store`, is such a folder, and so is the state of swtpm's local CA: PEM files that
 * hold no certificate (keys) are passed over there. Expired certificates are kept: they are judged when used.
 *
 * @param path The file or folder. In a folder: names ending in .pem, .crt, .cer, .cert, .der; subfolders are not read.
 * @returns `problems`: every reason why the set is unusable, each naming its file. `anchors`: only without problems.
 */
export function loadEkAnchors(path: string): { readonly problems: readonly string[]; readonly anchors?: EkAnchors } {
  const problems: string[] = []
  const certificates: X509Certificate[] = []
  const files = certificateFiles(path, problems)
  for (const file of files) {
    try {
      certificates.push(...readCertificates(file, file !== path))
    } catch (error) {
      problems.push(`${file}: ${error instanceof Error ? error.message : 'not readable'}`)
    }
  }
  if (problems.length === 0 && certificates.length === 0) problems.push(`${path}: no certificate found`)
  return problems.length > 0 ? { problems } : { problems, anchors: { certificates } }
}

function certificateFiles(path: string, problems: string[]): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    const names = readdirSync(path).filter((name) => CERTIFICATE_NAME.test(name) && !name.startsWith('.'))
    if (names.length > MAX_FILES) {
      problems.push(`${path}: ${names.length} certificate files, expected at most ${MAX_FILES}`)
      return []
    }
    const files = names.toSorted().map((name) => join(path, name))
    return files.filter((file) => statSync(file).isFile())
  } catch (error) {
    problems.push(`${path}: ${error instanceof Error ? error.message : 'not readable'}`)
    return []
  }
}

function readCertificates(file: string, isInFolder: boolean): readonly X509Certificate[] {
  const { size } = statSync(file)
  if (size > MAX_FILE_BYTES) throw new Error(`${size} bytes, expected at most ${MAX_FILE_BYTES}`)
  const bytes = readFileSync(file)
  const text = bytes.toString('latin1')
  const blocks = text.match(PEM_BLOCK)
  if (isInFolder && blocks === null && text.includes('-----BEGIN ')) return []
  const parsed = (blocks ?? [bytes]).map((block) => parseCertificate(block))
  const leaf = parsed.find((certificate) => !certificate.ca)
  if (leaf !== undefined) throw new Error(`${oneLine(leaf.subject)} is not a CA certificate`)
  return parsed
}

function parseCertificate(block: string | Buffer): X509Certificate {
  try {
    return new X509Certificate(block)
  } catch (cause) {
    throw new Error('does not hold a PEM or DER certificate', { cause })
  }
}

/**
 * Requires that an EK certificate was issued by a trusted CA.
 *
 * Node reads single certificates, so the critical extension with the TPM's maker (a directory name as alternative
 * name), which path validation elsewhere stumbles over, does no harm here.
 *
 * @param ekCert DER of the registrar record's EK certificate; that it certifies the registered EK, `verifyQuote` checks.
 * @param anchors Trusted certificates.
 * @param now The time at which all certificates must be valid.
 * @returns Who vouches.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: no certificate, itself or its key not readable, not an EK certificate,
 *   not valid now, or not issued by a trusted CA. The message names the issuer that is missing.
 */
export function verifyEkChain(ekCert: Uint8Array | undefined, anchors: EkAnchors, now: Date = new Date()): EkChain {
  const ek = readEkCertificate(ekCert)
  const dates = outsideValidity(ek, now)
  if (dates !== undefined) throw rejected(`it is ${dates}`)
  const chain: X509Certificate[] = []
  let below = ek
  while (chain.length < MAX_CHAIN) {
    const issuer = issuerOf(below, anchors, now, chain)
    if (issuer === undefined) break
    chain.push(issuer)
    below = issuer
  }
  const top = chain.at(-1)
  if (top === undefined)
    throw rejected(`its issuer is not trusted: ${oneLine(ek.issuer)} (${whyNot(ek, anchors, now)})`)
  return {
    caFingerprint: fingerprint(top),
    caFingerprints: chain.map((certificate) => fingerprint(certificate)),
    validUntil: Math.min(...[ek, ...chain].map(({ validTo }) => Date.parse(validTo))),
  }
}

function readEkCertificate(der: Uint8Array | undefined): X509Certificate {
  if (der === undefined) throw rejected('the keylime registrar holds none for this agent')
  let ek: X509Certificate
  try {
    ek = new X509Certificate(der)
  } catch {
    throw rejected('it does not parse')
  }
  if (ek.ca) throw rejected('it is a CA certificate')
  // The extended purposes; some makers leave them out, but another purpose is another certificate.
  const purposes: readonly string[] | undefined = ek.keyUsage
  if (purposes !== undefined && !purposes.includes(EK_CERTIFICATE_PURPOSE)) {
    throw rejected(`its extended key usage is ${purposes.join(', ')}, expected ${EK_CERTIFICATE_PURPOSE}`)
  }
  requireReadableKey(ek)
  return ek
}

/**
 * OpenSSL reads a certificate whose key it cannot read, such as one of RSAES-OAEP kind, as makers issued for TPM 1.2.
 * Nobody can then compare that key with the registered EK, so the certificate may be another TPM's.
 */
function requireReadableKey(ek: X509Certificate): void {
  try {
    ek.publicKey.export({ type: 'spki', format: 'der' })
  } catch {
    throw rejected('its public key is of a kind that cannot be read, so it cannot be compared with the registered EK')
  }
}

function issuerOf(
  below: X509Certificate,
  anchors: EkAnchors,
  now: Date,
  chain: readonly X509Certificate[],
): X509Certificate | undefined {
  return anchors.certificates.find(
    (candidate) =>
      outsideValidity(candidate, now) === undefined &&
      !chain.some((used) => used.fingerprint256 === candidate.fingerprint256) &&
      isIssuedBy(below, candidate),
  )
}

/** `checkIssued` compares names, key identifiers and the issuer's key usage; `verify` the signature. */
function isIssuedBy(below: X509Certificate, candidate: X509Certificate): boolean {
  try {
    return below.checkIssued(candidate) && below.verify(candidate.publicKey)
  } catch {
    return false
  }
}

function outsideValidity(certificate: X509Certificate, now: Date): string | undefined {
  if (now.getTime() < Date.parse(certificate.validFrom)) return `not valid before ${certificate.validFrom}`
  if (now.getTime() > Date.parse(certificate.validTo)) return `expired since ${certificate.validTo}`
  return undefined
}

function whyNot(ek: X509Certificate, anchors: EkAnchors, now: Date): string {
  const expired = anchors.certificates.find(
    (candidate) => outsideValidity(candidate, now) !== undefined && isIssuedBy(ek, candidate),
  )
  if (expired !== undefined) return `its certificate in ek_ca_path is ${outsideValidity(expired, now)}`
  return `ek_ca_path holds ${anchors.certificates.length} other CA certificates`
}

function fingerprint(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}

function rejected(reason: string): KeylimeError {
  return new KeylimeError('KEYLIME_QUOTE_REJECTED', `EK certificate rejected: ${reason}`, { facts: { reason } })
}
