/**
 * The CA, certificate and key files of one TLS client: read, checked together, and made into what a connection needs.
 *
 * @module
 */

import type { X509Certificate } from 'node:crypto'
import * as tls from 'node:tls'
import { nameInOneLine } from '../basis/printable.ts'
import { lifeInWords, lifeStage } from './certificate-life.ts'
import { isSelfIssued, readCertificates } from './certificates.ts'
import { type ClientCertificate, checkClientFiles } from './client-certificate.ts'
import type { TlsFileNames, TlsFiles } from './file-names.ts'
import { readTextFile } from './readable-file.ts'

/** One generation of the files, as a TLS connection takes it. Never changes: new files make a new one. */
export interface TlsMaterial {
  readonly secureContext: tls.SecureContext
  /** The same with a first message that fits into one packet; made when first asked for. */
  readonly compactContext: () => tls.SecureContext
  /** The path of the CA file; absent when the system's roots count. */
  readonly caFile?: string
  /** How the configuration calls the CA file, for messages. */
  readonly caName: string
  /** Every certificate of the CA file; empty when the system's roots count. */
  readonly anchors: readonly X509Certificate[]
  readonly client?: ClientCertificate
}

/** Every problem and warning of the files as sentences, and the material when there is no problem. */
export interface TlsFilesLoaded {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  readonly material?: TlsMaterial
}

/** Options of loading files. */
export interface TlsLoadOptions {
  /** Milliseconds since the epoch; default: now. */
  readonly now?: number
  /** How messages call each file. */
  readonly names?: TlsFileNames
}

/** Names of the files in messages when the configuration keys are not known. */
export const DEFAULT_TLS_FILE_NAMES: TlsFileNames = {
  caFile: 'CA file',
  certFile: 'client certificate',
  keyFile: 'client key',
}

/** Key exchanges with small public keys. */
const COMPACT_GROUPS = 'X25519:P-256:P-384:P-521'

/** How many certificates near or past their end are named each. */
const MAX_LATE_SHOWN = 3

interface Findings {
  readonly problems: string[]
  readonly warnings: string[]
}

/**
 * Reads and checks the files of a TLS client.
 *
 * A CA file may hold several roots and intermediates; each counts as a trust anchor, an intermediate alone too, as in
 * Go. Keys may be PKCS#8, SEC1 or PKCS#1. All problems are found at once; nothing is thrown.
 *
 * @param files Paths; a certificate needs its key and the reverse.
 * @param options The clock, and the names used in messages.
 * @returns Problems (then no material), warnings, and the material.
 */
export function loadTlsFiles(files: TlsFiles, options: TlsLoadOptions = {}): TlsFilesLoaded {
  const now = options.now ?? Date.now()
  const names = options.names ?? DEFAULT_TLS_FILE_NAMES
  const found: Findings = { problems: [], warnings: [] }
  const anchors =
    files.caFile === undefined ? [] : readAnchors(`${names.caFile} ${files.caFile}`, files.caFile, now, found)
  const client = checkClientFiles(files, names, {
    anchors,
    now,
    found,
    clientCaElsewhere: files.clientCaElsewhere === true,
  })
  if (found.problems.length > 0) return found
  try {
    const secureContext = newSecureContext(anchors, client)
    let compact: tls.SecureContext | undefined
    const material: TlsMaterial = {
      secureContext,
      compactContext: () => (compact ??= newSecureContext(anchors, client, COMPACT_GROUPS)),
      ...(files.caFile !== undefined && { caFile: files.caFile }),
      caName: names.caFile,
      anchors,
      ...(client !== undefined && { client: client.identity }),
    }
    return { ...found, material }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    const what = client === undefined ? names.caFile : `${names.certFile} ${files.certFile}`
    found.problems.push(`${what}: cannot be used for TLS (${code})`)
    return found
  }
}

function readAnchors(what: string, path: string, now: number, found: Findings): readonly X509Certificate[] {
  const file = readTextFile(path)
  if ('problem' in file) {
    found.problems.push(`${what}: ${file.problem}`)
    return []
  }
  const { certificates, problems, warnings } = readCertificates(file.text)
  found.problems.push(...problems.map((problem) => `${what}: ${problem}`))
  found.warnings.push(...warnings.map((warning) => `${what}: ${warning}`))
  const late = certificates.filter((one) => lifeStage(one, now) !== 'valid')
  const isUsable = (one: X509Certificate): boolean => lifeStage(one, now) === 'expires-soon'
  const words = (those: readonly X509Certificate[]): readonly string[] => lateInWords(what, those, now)
  const [soon, useless] = [late.filter(isUsable), late.filter((one) => !isUsable(one))]
  found.warnings.push(...words(soon))
  // Those that are not valid yet will be, perhaps as soon as this machine knows the time.
  const isOver = useless.length === certificates.length && useless.every((one) => lifeStage(one, now) === 'expired')
  const report = isOver ? found.problems : found.warnings
  report.push(...words(useless))
  return certificates
}

// A file with the roots of the whole Internet has dozens of them.
function lateInWords(what: string, late: readonly X509Certificate[], now: number): readonly string[] {
  const lines = late.map((one) => {
    const kind = isSelfIssued(one) ? 'root' : 'certificate'
    return `${what}: ${kind} ${nameInOneLine(one.subject)} ${lifeInWords(one, now)}`
  })
  if (lines.length <= MAX_LATE_SHOWN) return lines
  const rest = lines.length - MAX_LATE_SHOWN
  return [...lines.slice(0, MAX_LATE_SHOWN), `${what}: and ${rest} more certificates like these`]
}

function newSecureContext(
  anchors: readonly X509Certificate[],
  client: { readonly chainPem: string; readonly keyPem: string } | undefined,
  groups?: string,
): tls.SecureContext {
  const ca = anchors.length > 0 ? anchors.map((one) => one.toString()) : systemRoots()
  return tls.createSecureContext({
    ...(ca !== undefined && { ca }),
    ...(client !== undefined && { cert: client.chainPem, key: client.keyPem }),
    ...(groups !== undefined && { ecdhCurve: groups }),
    minVersion: 'TLSv1.2',
    // Without it a CA file that holds only an intermediate is "unable to get issuer certificate" in Node, and fine in Go.
    allowPartialTrustChain: true,
  })
}

// Node's own default is the list of Mozilla it was built with; the administrator's roots are the system's.
function systemRoots(): string[] | undefined {
  const roots = typeof tls.getCACertificates === 'function' ? tls.getCACertificates('system') : []
  return roots.length > 0 ? roots : undefined
}
