/**
 * What is wrong with a server's certificates, in the words of an operator.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import type { FailureReason } from '../basis/failures.ts'
import { nameInOneLine } from '../basis/printable.ts'
import { lifeInWords, lifeStage } from '../tls-files/certificate-life.ts'
import { chainOf, isIssuedBy, isSelfIssued, shortFingerprint } from '../tls-files/certificates.ts'
import type { TlsMaterial } from '../tls-files/tls-files.ts'
import type { Peer } from './peer.ts'

/** serverAuth and anyExtendedKeyUsage. */
const SERVER_USAGES: ReadonlySet<string> = new Set(['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'])

/** Facts about a TLS connection that failed. */
export interface TlsContext {
  readonly peer: Peer
  readonly material: TlsMaterial
  /** Certificates the server sent, leaf first; empty when it got not so far. */
  readonly presented: readonly X509Certificate[]
  /** Whether the handshake was done and the server's certificates were being judged. */
  readonly judged?: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A failure's name, and the sentence after the service's name. */
export interface Explanation {
  readonly reason: FailureReason
  readonly text: string
}

/**
 * Explains why the server's certificates were not accepted.
 *
 * @param code Code of the error.
 * @param error The error of the socket.
 * @param context The connection.
 * @returns The explanation, or undefined when the failure is none of the certificates'.
 */
export function explainPeer(code: string, error: Error, context: TlsContext): Explanation | undefined {
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return explainName(context)
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return explainLife(code, context)
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'CERT_SIGNATURE_FAILURE':
      return explainIssuer(code, error, context)
    case 'INVALID_PURPOSE':
    case 'INVALID_CA':
      return explainUse(code, error, context)
    default:
      return context.judged === true ? unverified(code, error, context) : undefined
  }
}

// Whatever OpenSSL says while it judges certificates is about the server's; it calls much of it unspecified.
function unverified(code: string, error: Error, context: TlsContext): Explanation {
  const why = error.message.split(';')[0]?.trim() ?? ''
  const named = code === '' || code === 'UNSPECIFIED' || code === why ? why : `${why} (${code})`
  return {
    reason: 'peer-certificate',
    text: `presents a certificate that does not verify: ${named}: ${chainInWords(context)}`,
  }
}

function chainInWords({ presented, material }: TlsContext): string {
  const [leaf, ...others] = presented
  if (leaf === undefined) return 'the server sent none'
  const chain = chainOf(leaf, [...others, ...material.anchors]).map(({ subject }) => nameInOneLine(subject))
  return chain.slice(0, 4).join(', issued by ')
}

// OpenSSL says of a certificate somewhere in the chain that it may not be used as it is.
function explainUse(code: string, error: Error, context: TlsContext): Explanation {
  const { presented, material } = context
  const [leaf, ...others] = presented
  const reason = 'peer-certificate'
  const usages: readonly string[] = leaf?.keyUsage ?? []
  if (usages.length > 0 && !usages.some((usage) => SERVER_USAGES.has(usage))) {
    const text = `presents a certificate that is not for servers (extended key usage lacks serverAuth): ${leafName(context)}`
    return { reason, text }
  }
  const chain = leaf === undefined ? [] : chainOf(leaf, [...others, ...material.anchors])
  const wrong = chain.slice(1).find(({ ca }) => !ca)
  if (wrong === undefined) return unverified(code, error, context)
  return {
    reason,
    text:
      `presents a certificate signed by ${nameInOneLine(wrong.subject)}, which is no CA certificate (basicConstraints lacks CA:TRUE); ` +
      `reissue that CA's certificate: ${leafName(context)}`,
  }
}

function leafName({ presented }: TlsContext): string {
  return nameInOneLine(presented[0]?.subject)
}

function explainName({ peer, presented }: TlsContext): Explanation {
  const leaf = presented[0]
  const names =
    leaf?.subjectAltName?.replaceAll('IP Address:', 'IP:') ?? `no names (subject ${nameInOneLine(leaf?.subject)})`
  const shown = names.replace(/\p{C}/gu, '?').slice(0, 400)
  return {
    reason: 'peer-name',
    text:
      `presents a certificate for ${shown}; expected ${peer.expectedName}; ` +
      `set ${peer.settings.serverName ?? 'the expected server name'} to one of its names, or reissue it with that name`,
  }
}

function explainLife(code: string, { presented, material, now }: TlsContext): Explanation {
  const stage = code === 'CERT_HAS_EXPIRED' ? 'expired' : 'not-yet-valid'
  const reason = stage === 'expired' ? 'peer-expired' : 'peer-not-yet-valid'
  const sent = presented.find((one) => lifeStage(one, now) === stage)
  if (sent !== undefined) {
    return { reason, text: `presents a certificate that ${lifeInWords(sent, now)}: ${nameInOneLine(sent.subject)}` }
  }
  const anchor = material.anchors.find((one) => lifeStage(one, now) === stage)
  const above =
    anchor === undefined ? 'a certificate above it' : `${nameInOneLine(anchor.subject)} ${lifeInWords(anchor, now)}`
  return { reason, text: `presents a certificate whose issuer in ${caInWords(material)} is out of date: ${above}` }
}

function explainIssuer(code: string, error: Error, context: TlsContext): Explanation {
  const { presented, material } = context
  const leaf = presented[0]
  if (leaf === undefined)
    return { reason: 'peer-issuer', text: `presents a certificate whose issuer is not in ${caInWords(material)}` }
  const top = chainOf(leaf, presented.slice(1)).at(-1) ?? leaf
  const issuer = nameInOneLine(top.issuer)
  const namesakes = material.anchors.filter((one) => one.subject === top.issuer)
  const signer = namesakes.find((one) => isIssuedBy(top, one))
  if (signer !== undefined && !top.raw.equals(signer.raw)) {
    // Names and signature fit, and OpenSSL still does not take the one for the other's issuer.
    const { text } = unverified(code, error, context)
    return {
      reason: 'peer-certificate',
      text: `${text}; ${issuer} in ${caInWords(material)} made that signature, so an extension or a key usage of one of them must be at fault: reissue it`,
    }
  }
  const namesake = namesakes[0]
  if (namesake !== undefined) {
    return {
      reason: 'peer-reissued-ca',
      text:
        `presents a certificate signed by another ${issuer} than the one in ${caInWords(material)}: ours has SHA-256 ${shortFingerprint(namesake)}, ` +
        `valid from ${new Date(namesake.validFrom).toISOString().slice(0, 10)}, and did not make that signature; one of the two was re-issued, add the other to the file`,
    }
  }
  if (isSelfIssued(top)) {
    const what = top === leaf ? 'a self-signed certificate' : 'a chain up to the root'
    return {
      reason: 'peer-issuer',
      text: `presents ${what} ${nameInOneLine(top.subject)} (SHA-256 ${shortFingerprint(top)}), which is not in ${caInWords(material)}; add it there if it is the right one`,
    }
  }
  if (top === leaf) {
    return {
      reason: 'peer-leaf-only',
      text: `sends only its leaf ${nameInOneLine(leaf.subject)}; its issuer ${issuer} is not in ${caInWords(material)}: add it there or, if it is an intermediate, let the server send its chain`,
    }
  }
  return {
    reason: 'peer-issuer',
    text: `presents a chain that ends at ${nameInOneLine(top.subject)}; its issuer ${issuer} is not in ${caInWords(material)}; add it there`,
  }
}

function caInWords({ caName, caFile }: TlsMaterial): string {
  return caFile === undefined ? `the system's roots (${caName} is not set)` : `${caName} ${caFile}`
}
