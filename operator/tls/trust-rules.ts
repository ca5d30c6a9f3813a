/**
 * How the programs of a tower read a trust file, and whether they would accept a chain: the same file is not the same
 * trust to each.
 *
 * @see rust-keylime 3a4d5654, keylime/src/crypto.rs; CPython 3.11, Lib/ssl.py; Node 26, tls `allowPartialTrustChain`
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { nameInOneLine } from '@tower-of-omens/keylime'
import { chainOf, isSelfIssued } from '@tower-of-omens/keylime/tls-files'

/**
 * `first-block`: only the first certificate of the file counts, and it may be an intermediate (Rust). `to-root`: all
 * count, and the chain must end at a root among them (Python, OpenSSL). `partial`: all count, an intermediate alone is
 * enough (Go, Node with partial chains, this project).
 */
export type TrustRule = 'first-block' | 'to-root' | 'partial'

/** Why a chain is not accepted. */
export interface TrustGap {
  /** The last certificate that could be reached. */
  readonly reached: string
  /** Its issuer, which nobody supplies or which is not trusted. */
  readonly missing: string
  /** The issuer's name is in the trust file, with another key: one of the two was made anew. */
  readonly namesake: boolean
}

/**
 * Tells whether a program accepts what a server presents.
 *
 * @param presented Leaf first, as sent.
 * @param trusted Certificates of the trust file, in its order.
 * @param rule How the program reads it.
 * @returns Undefined when it accepts, or the gap.
 */
export function trustGap(
  presented: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
  rule: TrustRule,
): TrustGap | undefined {
  const [leaf, ...others] = presented
  if (leaf === undefined) return { reached: 'nothing', missing: 'a certificate', namesake: false }
  const anchors = rule === 'first-block' ? trusted.slice(0, 1) : trusted
  const chain = chainOf(leaf, [...others, ...anchors])
  const top = chain.at(-1) ?? leaf
  const isAnchor = (one: X509Certificate): boolean =>
    anchors.some((anchor) => anchor.fingerprint256 === one.fingerprint256)
  const accepted = rule === 'to-root' ? isSelfIssued(top) && isAnchor(top) : chain.some(isAnchor)
  if (accepted) return undefined
  return {
    reached: nameInOneLine(top.subject),
    missing: nameInOneLine(top.issuer),
    namesake: trusted.some((one) => one.subject === top.issuer && !chain.includes(one)),
  }
}
