/**
 * The TPM makers' CA certificates that `ek_ca_path` names: read once, and watched for their dates.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { TRUSTED_PROBLEM } from '../tls-files/certificates.ts'
import { dateFault, dateStage, datesOf } from './certificate-dates.ts'

/** The trusted CA certificates; each of them is trusted by itself, an intermediate without its root too. */
export interface EkAnchors {
  readonly certificates: readonly X509Certificate[]
}

/** What reading the certificates came to. */
export interface EkAnchorsRead {
  /** Every reason why the set is unusable, each naming its file. */
  readonly problems: readonly string[]
  /** Certificates that are left out, each naming its file. */
  readonly warnings: readonly string[]
  /** Only without problems. */
  readonly anchors?: EkAnchors
}

/** What is worth saying of a CA certificate's dates. */
export interface AnchorDates {
  readonly fingerprint256: string
  /** Subject in one line. */
  readonly subject: string
  /** `soon`: it ends within 90 days. */
  readonly stage: 'soon' | 'over' | 'not-yet'
  /** Such as `expires on 2026-12-21` or `expired since Dec 21 00:00:00 2026 GMT`. */
  readonly words: string
}

/** A maker's successor certificate has to be found and rolled out in this time. */
const SOON_MS = 90 * 86_400_000
const MAX_FILE_BYTES = 1_048_576
const MAX_FILES = 2_000
const PEM_BLOCK = /-----BEGIN (?:X509 )?CERTIFICATE-----[^-]+-----END (?:X509 )?CERTIFICATE-----/g
const CERTIFICATE_NAME = /\.(?:pem|crt|cer|cert|der)$/i

/**
 * Reads trusted CA certificates from a PEM or DER file, or from every certificate file of a folder.
 *
 * Keylime's own collection, `tpm_cert_store`, is such a folder, and so is the state of swtpm's local CA: PEM files that
 * hold no certificate (keys) are passed over there. Expired certificates are kept: what they are worth is judged when
 * they are used. One whose dates cannot be read is left out.
 *
 * @param path The file or folder. In a folder: names ending in .pem, .crt, .cer, .cert, .der; subfolders are not read.
 * @returns The certificates, or why there are none.
 */
export function loadEkAnchors(path: string): EkAnchorsRead {
  const problems: string[] = []
  const warnings: string[] = []
  const certificates: X509Certificate[] = []
  for (const file of certificateFiles(path, problems)) {
    try {
      for (const certificate of readCertificates(file, file !== path)) {
        if (dateStage(certificate, 0) !== 'unreadable') certificates.push(certificate)
        else warnings.push(`${file}: ${oneLine(certificate.subject)} is left out: its dates cannot be read`)
      }
    } catch (error) {
      problems.push(`${file}: ${error instanceof Error ? error.message : 'not readable'}`)
    }
  }
  if (problems.length === 0 && certificates.length === 0) problems.push(`${path}: no certificate found`)
  return problems.length > 0 ? { problems, warnings } : { problems, warnings, anchors: { certificates } }
}

/**
 * Lists the CA certificates whose dates are worth a word.
 *
 * @param anchors Trusted certificates.
 * @param now Milliseconds since the epoch.
 * @returns Those that are out of date or end within 90 days, in order.
 */
export function anchorDates({ certificates }: EkAnchors, now: number): readonly AnchorDates[] {
  return certificates.flatMap<AnchorDates>((certificate) => {
    const { fingerprint256 } = certificate
    const subject = oneLine(certificate.subject)
    const fault = dateFault(certificate, now)
    if (fault !== undefined) {
      const stage = dateStage(certificate, now) === 'over' ? ('over' as const) : ('not-yet' as const)
      return [{ fingerprint256, subject, stage, words: fault }]
    }
    const { to } = datesOf(certificate)
    if (to - now > SOON_MS) return []
    return [
      {
        fingerprint256,
        subject,
        stage: 'soon' as const,
        words: `expires on ${new Date(to).toISOString().slice(0, 10)}`,
      },
    ]
  })
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
  if (text.includes('-----BEGIN TRUSTED CERTIFICATE-----')) throw new Error(`one block ${TRUSTED_PROBLEM}`)
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

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ')
}
