/**
 * The client's own certificate and key: do they fit, is the chain whole, will a server accept them.
 *
 * @module
 */

import type { KeyObject, X509Certificate } from 'node:crypto'
import { nameInOneLine } from '../basis/printable.ts'
import { lifeInWords, lifeStage } from './certificate-life.ts'
import { chainOf, isSelfIssued, readCertificates } from './certificates.ts'
import type { TlsFileNames, TlsFiles } from './file-names.ts'
import { keyInWords, readPrivateKey } from './key-files.ts'
import { readTextFile } from './readable-file.ts'

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_USAGE = '2.5.29.37.0'

/** The certificate we present; nothing of it is secret. */
export interface ClientCertificate {
  readonly certFile: string
  readonly keyFile: string
  /** Names in one line, such as `CN=agent, O=Funlab.Casa`. */
  readonly subject: string
  readonly issuer: string
  readonly notBefore: Date
  readonly notAfter: Date
  /** SHA-256, as Node prints it. */
  readonly fingerprint256: string
  /** How many certificates we send: the leaf and the intermediates known. */
  readonly chainLength: number
}

/** Facts that the checks need, and where they report. */
export interface ClientCheck {
  readonly anchors: readonly X509Certificate[]
  readonly now: number
  readonly found: { readonly problems: string[]; readonly warnings: string[] }
  /** The service knows its clients by another CA than the anchors. */
  readonly clientCaElsewhere: boolean
}

/** The checked pair in the form a secure context takes. */
export interface ClientPair {
  readonly identity: ClientCertificate
  readonly chainPem: string
  readonly keyPem: string
}

/**
 * Reads and checks a client certificate and its key.
 *
 * @param files Paths; both or neither.
 * @param names How messages call each file.
 * @param check Anchors that may complete the chain, clock, and where to report.
 * @returns The pair; undefined when there is none, or when a problem was reported.
 */
export function checkClientFiles(files: TlsFiles, names: TlsFileNames, check: ClientCheck): ClientPair | undefined {
  const { certFile, keyFile } = files
  const { problems } = check.found
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile === undefined || keyFile === undefined) {
    const [given, missing] = certFile === undefined ? [names.keyFile, names.certFile] : [names.certFile, names.keyFile]
    problems.push(`${given} is set and ${missing} is not: set both or neither`)
    return undefined
  }
  const [certName, keyName] = [`${names.certFile} ${certFile}`, `${names.keyFile} ${keyFile}`]
  const certificates = readPresented(certName, certFile, check)
  const key = readKey(keyName, keyFile, check.found)
  if (certificates === undefined || key === undefined) return undefined
  const leaf = certificates.find((one) => one.checkPrivateKey(key.key))
  if (leaf === undefined) {
    const first = certificates[0]
    const held =
      first === undefined
        ? ''
        : `, which is for ${nameInOneLine(first.subject)} with another ${keyInWords(first.publicKey)} key`
    problems.push(`${keyName}: is not the key of ${certName}${held}; replace both together`)
    return undefined
  }
  return judgePair(leaf, certificates, { certFile, keyFile, certName, keyPem: key.pem }, check)
}

function readPresented(what: string, path: string, check: ClientCheck): readonly X509Certificate[] | undefined {
  const file = readTextFile(path)
  const read = 'problem' in file ? undefined : readCertificates(file.text)
  const problems = 'problem' in file ? [file.problem] : (read?.problems ?? [])
  check.found.problems.push(...problems.map((problem) => `${what}: ${problem}`))
  return problems.length > 0 ? undefined : read?.certificates
}

function readKey(what: string, path: string, found: ClientCheck['found']): { key: KeyObject; pem: string } | undefined {
  const file = readTextFile(path)
  const read = 'problem' in file ? file : readPrivateKey(file.text)
  if ('problem' in read) {
    found.problems.push(`${what}: ${read.problem}`)
    return undefined
  }
  if ('mode' in file && (file.mode & 0o004) !== 0) {
    const mode = file.mode.toString(8).padStart(4, '0')
    found.warnings.push(`${what}: every user of this machine can read it (mode ${mode}); 0600 or 0640 is enough`)
  }
  return read
}

interface PairFacts {
  readonly certFile: string
  readonly keyFile: string
  readonly certName: string
  readonly keyPem: string
}

function judgePair(
  leaf: X509Certificate,
  certificates: readonly X509Certificate[],
  facts: PairFacts,
  check: ClientCheck,
): ClientPair | undefined {
  const { found, now } = check
  const { certName, certFile, keyFile, keyPem } = facts
  // One that is not valid yet is warned of: a board without a clock of its own has yet to ask for the time.
  if (lifeStage(leaf, now) === 'expired') {
    found.problems.push(`${certName}: ${nameInOneLine(leaf.subject)} ${lifeInWords(leaf, now)}`)
    return undefined
  }
  const chain = chainOf(leaf, [...certificates, ...check.anchors])
  const sent = chain.filter((one) => one === leaf || !isSelfIssued(one))
  found.warnings.push(...warningsOf(leaf, chain, check).map((warning) => `${certName}: ${warning}`))
  return {
    identity: {
      certFile,
      keyFile,
      subject: nameInOneLine(leaf.subject),
      issuer: nameInOneLine(leaf.issuer),
      notBefore: new Date(leaf.validFrom),
      notAfter: new Date(leaf.validTo),
      fingerprint256: leaf.fingerprint256,
      chainLength: sent.length,
    },
    chainPem: sent.map((one) => one.toString()).join(''),
    keyPem,
  }
}

function warningsOf(leaf: X509Certificate, chain: readonly X509Certificate[], check: ClientCheck): string[] {
  const { now, clientCaElsewhere } = check
  const warnings: string[] = []
  const name = nameInOneLine(leaf.subject)
  for (const one of chain) {
    const stage = lifeStage(one, now)
    if (stage !== 'valid') warnings.push(`${nameInOneLine(one.subject)} ${lifeInWords(one, now)}`)
  }
  const top = chain.at(-1) ?? leaf
  if (!isSelfIssued(top) && !clientCaElsewhere) {
    warnings.push(
      `the chain ends at ${nameInOneLine(top.subject)}: its issuer ${nameInOneLine(top.issuer)} is not in the file; ` +
        'if that is an intermediate, append it, or a server that trusts only the root refuses the certificate',
    )
  }
  const usages = leaf.keyUsage ?? []
  if (usages.length > 0 && !usages.includes(CLIENT_AUTH) && !usages.includes(ANY_USAGE)) {
    warnings.push(
      `${name} is not for client authentication (extended key usage lacks clientAuth): servers will refuse it`,
    )
  }
  if (!/^CN=./m.test(leaf.subject)) {
    warnings.push(
      `${name} has no common name: a Keylime 7.14 verifier or registrar treats its bearer as anonymous (403)`,
    )
  }
  return warnings
}
