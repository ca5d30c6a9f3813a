/**
 * Is the node who it says it is, beyond the proof of its quote: its ID, its endorsement key, who vouches for that key.
 *
 * @module
 */

import type { IdentityCode, Reason } from '@tower-of-omens/gate'
import { reasonFor } from '@tower-of-omens/gate'
import {
  type AgentId,
  BoundedMap,
  DEFAULT_AGENT_UUID,
  isKeylimeError,
  KeylimeError,
  oneLine,
} from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'
import {
  type EkAnchors,
  type EkChain,
  type EkFault,
  judgeEkChain,
  registeredKeys,
} from '@tower-of-omens/keylime/evidence'

/** Is what the configuration demands of a node's identity. */
export interface IdentityRules {
  readonly allowDefaultUuid: boolean
  readonly requireEkUuid: boolean
  /** From `ek_ca_path`; without it EK certificates are not looked at. */
  readonly ekAnchors?: EkAnchors | undefined
  /** `require_ek_dates`: certificates must be within their dates. */
  readonly requireEkDates?: boolean
}

/** Is a node that was admitted: which TPM holds the ID. */
export interface AdmittedNode {
  /** As it is spelt; another spelling is another SPIFFE ID, and the same one to some databases. */
  readonly agentId: AgentId
  readonly ekFingerprint: string
  /** Where the registrar says it is, for messages. */
  readonly address: string
}

/** Remembers which TPM holds which ID, whatever its spelling. Outlives a new configuration, not the process. */
export class AdmittedNodes {
  readonly #byId = new BoundedMap<string, AdmittedNode>(MAX_ADMITTED)

  /**
   * Finds who holds an ID.
   *
   * @param agentId The ID, in any spelling.
   * @returns The node admitted last for it.
   */
  holder(agentId: AgentId): AdmittedNode | undefined {
    return this.#byId.get(agentId.toLowerCase())
  }

  /**
   * Remembers an admitted node.
   *
   * @param node The node.
   */
  add({ agentId, ekFingerprint, address }: AdmittedNode): void {
    this.#byId.set(agentId.toLowerCase(), { agentId, ekFingerprint, address })
  }
}

/** Is how many admitted nodes are remembered. */
const MAX_ADMITTED = 20_000
/** Is how long the chain of an unchanged EK certificate is believed. */
const CHAIN_TTL_MS = 600_000

/**
 * Tells whether an agent ID is the one that names no host and is not allowed.
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

/** Is what is known of a proved node's identity. */
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
 * Judges the identity of a node whose quote is proved.
 *
 * @param record Its registrar record.
 * @param rules The configuration.
 * @param admitted Which TPM holds which ID.
 * @param now The time at which certificates must be valid.
 * @returns What is known, and every reason to refuse.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: the record's keys are unusable.
 */
export function judgeIdentity(
  record: RegistrarRecord,
  rules: IdentityRules,
  admitted: AdmittedNodes,
  now: Date,
): NodeIdentity {
  const { ekFingerprint, ekUuid } = registeredKeys(record)
  const address = addressOf(record)
  const reasons: Reason[] = []
  if (rules.requireEkUuid && record.agentId !== ekUuid)
    reasons.push(reasonFor('KL-ID-NOT-EK-HASH', { expected: ekUuid }))
  const chain = rules.ekAnchors === undefined ? undefined : chainOf(record, rules.ekAnchors, rules, now)
  if (chain !== undefined && 'code' in chain) reasons.push(chain)
  const node = { agentId: record.agentId, ekFingerprint, address }
  const holder = admitted.holder(record.agentId)
  const claim = claimAgainst(holder, node)
  if (claim !== undefined) reasons.push(claim)
  const vouched = chain !== undefined && 'caFingerprint' in chain ? chain : undefined
  const known = { ekCaFingerprint: vouched?.caFingerprint, ekOutOfDate: vouched?.outOfDate }
  return { ...node, ...known, reasons, heldBy: claim === undefined ? undefined : holder, holder }
}

/**
 * Finds out whether another node was admitted under the same ID since a node's identity was judged.
 *
 * @param identity As judged.
 * @param admitted Which TPM holds which ID now.
 * @returns The reason to refuse, or none.
 */
export function overtakenReasons(identity: NodeIdentity, admitted: AdmittedNodes): readonly Reason[] {
  const holder = admitted.holder(identity.agentId)
  const claim = holder === identity.holder ? undefined : claimAgainst(holder, identity)
  return claim === undefined ? [] : [claim]
}

/** Is a node's claim to an ID that is held refused: by another TPM, or under another spelling. */
function claimAgainst(holder: AdmittedNode | undefined, node: AdmittedNode): Reason | undefined {
  if (holder === undefined) return undefined
  if (holder.ekFingerprint !== node.ekFingerprint) {
    return reasonFor('KL-ID-IN-USE', {
      admitted_ek: short(holder.ekFingerprint),
      admitted_at: holder.address,
      claimed_ek: short(node.ekFingerprint),
      claimed_at: node.address,
    })
  }
  return holder.agentId === node.agentId ? undefined : reasonFor('KL-ID-SPELLING', { admitted_id: holder.agentId })
}

/**
 * Explains a failed proof by naming the host that the registrar holds for the ID: the answer may come from another one.
 *
 * @param error The failure of the local proof.
 * @param record The registrar record it was proved against.
 * @returns The same failure with EK and address of the registered host in its message.
 */
export function withRegisteredHost(error: KeylimeError, record: RegistrarRecord): KeylimeError {
  if (!isKeylimeError(error, 'KEYLIME_QUOTE_REJECTED')) return error
  const ek = registeredKeys(record).ekFingerprint
  return new KeylimeError(
    error.code,
    `${error.message}; agent id ${record.agentId} is registered for the TPM with EK ${short(ek)} at ${addressOf(record)}`,
    { cause: error, facts: { ...error.facts, registered_ek: ek, registered_at: addressOf(record) } },
  )
}

/** Shortens a fingerprint for a message: enough to tell two hosts apart, and to find it in the log. */
function short(fingerprint: string): string {
  return fingerprint.slice(0, 16)
}

/** The address is what a node said of itself when it registered: any text. */
function addressOf({ ip, port }: RegistrarRecord): string {
  if (typeof ip !== 'string' || ip === '') return 'an unknown address'
  const said = oneLine(ip)
  return typeof port === 'number' ? `${said}:${String(port)}` : said
}

// By record and anchors: a record object stands for unchanged keys, the anchors change with the configuration.
const chains = new WeakMap<EkAnchors, WeakMap<RegistrarRecord, { readonly chain: EkChain; readonly at: number }>>()

/** Only a chain that holds is believed: what is refused may be mended at any moment. */
function chainOf(record: RegistrarRecord, anchors: EkAnchors, rules: IdentityRules, now: Date): EkChain | Reason {
  const perRecord = chains.get(anchors) ?? new WeakMap()
  chains.set(anchors, perRecord)
  const known = perRecord.get(record)
  const time = now.getTime()
  if (known !== undefined && Math.abs(time - known.at) < CHAIN_TTL_MS && time <= known.chain.validUntil) {
    return known.chain
  }
  const chain = checkChain(record, anchors, rules, now)
  if (!('code' in chain)) perRecord.set(record, { chain, at: time })
  return chain
}

function checkChain(
  record: RegistrarRecord,
  anchors: EkAnchors,
  { requireEkDates = false }: IdentityRules,
  now: Date,
): EkChain | Reason {
  if (record.ekCert === undefined) return reasonFor('KL-EK-NO-CERTIFICATE', {})
  const chain = judgeEkChain(record.ekCert, registeredKeys(record).ek, anchors, { now, decide: requireEkDates })
  return 'fault' in chain ? reasonFor(EK_CODES[chain.fault], { reason: chain.reason }) : chain
}

const EK_CODES = {
  untrusted: 'KL-EK-UNTRUSTED',
  'issuer-unknown': 'KL-EK-ISSUER-UNKNOWN',
  dates: 'KL-EK-DATES',
} as const satisfies Readonly<Record<EkFault['fault'], IdentityCode>>
