/**
 * Rules of identity: whether a node is who it says it is, beyond the proof of its quote, by its ID, its endorsement key, who vouches for that key.
 *
 * @module
 */
import { type AgentId, DEFAULT_AGENT_UUID } from '@tower-of-omens/keylime'
import type { EkAnchors, EkChain, EkFault } from '@tower-of-omens/keylime/evidence'
import type { IdentityCode } from './catalogue/catalogue.ts'
import { type Reason, reasonFor } from './decision.ts'

/** What the configuration demands of a node's identity. */
export interface IdentityRules {
  readonly allowDefaultUuid: boolean
  readonly requireEkUuid: boolean
  /** From `ek_ca_path`; without it EK certificates are not looked at. */
  readonly ekAnchors?: EkAnchors | undefined
  /** `require_ek_dates`: certificates must be within their dates. */
  readonly requireEkDates?: boolean
}

/** A node that was admitted: which TPM holds the ID. */
export interface AdmittedNode {
  /** As it is spelt; another spelling is another SPIFFE ID, and the same one to some databases. */
  readonly agentId: AgentId
  readonly ekFingerprint: string
  /** Where the registrar says it is, for messages. */
  readonly address: string
}

/** A node whose quote is proved, as the registrar knows it. */
export interface RegisteredNode extends AdmittedNode {
  /** What `uuid = "hash_ek"` would make of its endorsement key. */
  readonly ekUuid: string
  /** Who vouches for its endorsement key; `none`: it has no certificate. Absent without `ek_ca_path`. */
  readonly ek?: EkChain | EkFault | 'none' | undefined
}

/** What is known of a proved node's identity. */
export interface NodeIdentity extends AdmittedNode {
  /** SHA-256 of the CA that vouches for the EK; only with `ek_ca_path`. */
  readonly ekCaFingerprint?: string | undefined
  /** What of the EK certificate's chain is out of date, where dates do not refuse. */
  readonly ekOutOfDate?: string | undefined
  /** Every reason to refuse. */
  readonly reasons: readonly Reason[]
  /** The node that holds this ID, when that is another TPM or spelling. */
  readonly heldBy?: AdmittedNode | undefined
  /** Who held the ID when this was judged. */
  readonly holder?: AdmittedNode | undefined
}

/**
 * Tells whether an agent ID is the one that names no node and is not allowed.
 *
 * @param agentId From the payload; nothing is proved yet and nothing needs to be.
 * @param rules The configuration.
 * @returns The reason to refuse, or none.
 */
export function defaultUuidReasons(agentId: AgentId, rules: IdentityRules): readonly Reason[] {
  return agentId.toLowerCase() === DEFAULT_AGENT_UUID && !rules.allowDefaultUuid
    ? [reasonFor('KL-ID-DEFAULT-UUID', {})]
    : []
}

/**
 * Judges the identity of a node whose quote is proved.
 *
 * @param node The node, as the registrar knows it.
 * @param rules The configuration.
 * @param holder The node admitted last under this ID, in any spelling.
 * @returns What is known, and every reason to refuse.
 */
export function judgeIdentity(
  { agentId, ekFingerprint, address, ekUuid, ek }: RegisteredNode,
  rules: Pick<IdentityRules, 'requireEkUuid'>,
  holder: AdmittedNode | undefined,
): NodeIdentity {
  const node = { agentId, ekFingerprint, address }
  const isOther = rules.requireEkUuid && agentId !== ekUuid
  const claim = claimAgainst(holder, node)
  const reasons = [isOther ? reasonFor('KL-ID-NOT-EK-HASH', { expected: ekUuid }) : undefined, ekReason(ek), claim]
  const vouched = typeof ek === 'object' && 'caFingerprint' in ek ? ek : undefined
  return {
    ...node,
    ekCaFingerprint: vouched?.caFingerprint,
    ekOutOfDate: vouched?.outOfDate,
    reasons: reasons.filter((one) => one !== undefined),
    heldBy: claim === undefined ? undefined : holder,
    holder,
  }
}

/**
 * Finds out whether another node was admitted under the same ID since a node's identity was judged.
 *
 * @param identity As judged.
 * @param holder The node admitted last under the ID now.
 * @returns The reason to refuse, or none.
 */
export function overtakenReasons(identity: NodeIdentity, holder: AdmittedNode | undefined): readonly Reason[] {
  const claim = holder === identity.holder ? undefined : claimAgainst(holder, identity)
  return claim === undefined ? [] : [claim]
}

/**
 * Lets an ID go from the node that held it, which SPIRE no longer knows.
 *
 * @param identity As judged.
 * @returns The same, without the reasons that name the holder.
 */
export function withoutHolder(identity: NodeIdentity): NodeIdentity {
  return { ...identity, heldBy: undefined, reasons: identity.reasons.filter((one) => !isAboutHolder(one)) }
}

/**
 * Leaves an ID with the node that holds it while nobody can say whether SPIRE still knows that one: that is no verdict.
 *
 * @param identity As judged.
 * @returns The same, with `KL-ID-UNDECIDED` for the reasons that name the holder.
 */
export function undecidedHolder(identity: NodeIdentity): NodeIdentity {
  const reasons = identity.reasons.map((one) =>
    isAboutHolder(one) ? reasonFor('KL-ID-UNDECIDED', { held: one.message }) : one,
  )
  return { ...identity, reasons }
}

/**
 * Shortens a fingerprint for a message: enough to tell two nodes apart, and to find it in the log.
 *
 * @param fingerprint Hex digits.
 * @returns The first 16.
 */
export function shortFingerprint(fingerprint: string): string {
  return fingerprint.slice(0, 16)
}

const EK_CODES = {
  untrusted: 'KL-EK-UNTRUSTED',
  unreadable: 'KL-EK-UNREADABLE',
  'issuer-unknown': 'KL-EK-ISSUER-UNKNOWN',
  dates: 'KL-EK-DATES',
} as const satisfies Readonly<Record<EkFault['fault'], IdentityCode>>

function ekReason(ek: RegisteredNode['ek']): Reason | undefined {
  if (ek === 'none') return reasonFor('KL-EK-NO-CERTIFICATE', {})
  return ek !== undefined && 'fault' in ek ? reasonFor(EK_CODES[ek.fault], { reason: ek.reason }) : undefined
}

/** Refuses a claim to an ID that is held: by another TPM, or under another spelling. */
function claimAgainst(holder: AdmittedNode | undefined, node: AdmittedNode): Reason | undefined {
  if (holder === undefined) return undefined
  if (holder.ekFingerprint !== node.ekFingerprint) {
    return reasonFor('KL-ID-IN-USE', {
      admitted_ek: shortFingerprint(holder.ekFingerprint),
      admitted_at: holder.address,
      claimed_ek: shortFingerprint(node.ekFingerprint),
      claimed_at: node.address,
    })
  }
  return holder.agentId === node.agentId ? undefined : reasonFor('KL-ID-SPELLING', { admitted_id: holder.agentId })
}

function isAboutHolder({ code }: Reason): boolean {
  return code === 'KL-ID-IN-USE' || code === 'KL-ID-SPELLING'
}
