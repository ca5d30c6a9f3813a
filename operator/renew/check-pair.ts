/**
 * The checks of a new pair before it is put in place: what would break once it served is found while the old one does.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { readCertificates, readPrivateKey } from '@tower-of-omens/keylime/tls-files'
import { type TrustRule, trustGap } from '../tls/trust-rules.ts'
import type { CertSpec } from './cert-spec.ts'
import type { NewPair } from './pair-swap.ts'

/** A trust file of a peer, and how the peer reads it. */
export interface PeerTrust {
  readonly file: string
  readonly rule: TrustRule
}

/**
 * Gathers the trust files that a description lists.
 *
 * @param spec The description.
 * @returns Files with the rule of whoever reads them.
 */
export function peersOf(spec: CertSpec): readonly PeerTrust[] {
  return [
    ...asRead(spec.trust_first_block, 'first-block'),
    ...asRead(spec.trust_to_root, 'to-root'),
    ...asRead(spec.trust_partial, 'partial'),
  ]
}

function asRead(files: readonly string[], rule: TrustRule): readonly PeerTrust[] {
  return files.map((file) => ({ file, rule }))
}

/**
 * Checks a pair against its description and against every peer's trust file.
 *
 * @param pair The pair.
 * @param spec What it should be.
 * @param now Milliseconds since the epoch.
 * @returns Every problem; none when it may be put in place.
 */
export function pairProblems(pair: NewPair, spec: CertSpec, now: number): readonly string[] {
  const { certificates, problems } = readCertificates(pair.chain)
  const [leaf] = certificates
  if (leaf === undefined || problems.length > 0) return ['the issuer sent no certificate that can be read', ...problems]
  const key = readPrivateKey(pair.key)
  if ('problem' in key) return [`the new key ${key.problem}`]
  return [
    ...(leaf.checkPrivateKey(key.key) ? [] : ['the certificate is not for the key that was made']),
    ...(leaf.validToDate.getTime() <= now ? ['the certificate has ended already'] : []),
    ...missingNames(leaf, spec),
    ...peersOf(spec).flatMap((peer) => peerProblem(certificates, peer)),
  ]
}

function missingNames(leaf: X509Certificate, spec: CertSpec): readonly string[] {
  const missing = [
    ...spec.dns_names.filter((name) => leaf.checkHost(name, { subject: 'never' }) === undefined),
    ...spec.ip_addresses.filter((address) => isIP(address) === 0 || leaf.checkIP(address) === undefined),
    ...spec.uris.filter((uri) => !(leaf.subjectAltName ?? '').includes(`URI:${uri}`)),
  ]
  const why =
    spec.issuer === 'step-ca'
      ? 'step-ca keeps those of the certificate that it renews; get a first one with them'
      : 'the role does not allow them'
  return missing.length === 0 ? [] : [`the certificate lacks the names ${missing.join(', ')}: ${why}`]
}

function peerProblem(certificates: readonly X509Certificate[], { file, rule }: PeerTrust): readonly string[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return [
      `trust file ${file} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'error'})`,
    ]
  }
  const gap = trustGap(certificates, readCertificates(text).certificates, rule)
  if (gap === undefined) return []
  const namesake = gap.namesake ? ', of whom it holds another key' : ''
  return [
    `a peer that trusts ${file} (${rule}) would refuse it: ${gap.reached} lacks its issuer ${gap.missing}${namesake}`,
  ]
}

/**
 * Reads the certificate in place.
 *
 * @param file Its path.
 * @returns The leaf; undefined when there is none that can be read.
 */
export function leafIn(file: string): X509Certificate | undefined {
  try {
    return readCertificates(readFileSync(file, 'utf8')).certificates[0]
  } catch {
    return undefined
  }
}

/**
 * Tells whether a key in place is of no use with the certificate in place, so that both must be made anew.
 *
 * @param files The pair.
 * @returns Why; undefined when they fit, or the key cannot be looked at, which says nothing about it.
 */
export function whyUnfitKey({ cert_file: certFile, key_file: keyFile }: CertSpec): string | undefined {
  const leaf = leafIn(certFile)
  if (leaf === undefined) return undefined
  try {
    const read = readPrivateKey(readFileSync(keyFile, 'utf8'))
    if ('problem' in read) return `${keyFile} ${read.problem}`
    return leaf.checkPrivateKey(read.key) ? undefined : `${keyFile} is not the key of ${certFile}`
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? `${keyFile} is gone` : undefined
  }
}
