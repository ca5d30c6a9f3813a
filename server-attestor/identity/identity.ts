/**
 * Who a proved node is: what the registrar's record says of it, and which TPM holds its ID here.
 *
 * @module
 */
import {
  type AdmittedNode,
  type IdentityRules,
  judgeIdentity,
  type NodeIdentity,
  type RegisteredNode,
  shortFingerprint,
} from '@tower-of-omens/gate'
import { type AgentId, BoundedMap, isKeylimeError, KeylimeError, oneLine } from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'
import { type EkAnchors, type EkChain, judgeEkChain, registeredKeys } from '@tower-of-omens/keylime/evidence'

/** How many admitted nodes are remembered. */
const MAX_ADMITTED = 20_000
/** How long the chain of an unchanged EK certificate is believed. */
const CHAIN_TTL_MS = 600_000

/** Memory of which TPM holds which ID, whatever its spelling. Outlives a new configuration, not the process. */
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

/**
 * Judges who a node is whose quote is proved.
 *
 * @param record Its registrar record.
 * @param rules The configuration.
 * @param admitted Which TPM holds which ID.
 * @param now The time at which certificates must be valid.
 * @returns What is known, and every reason to refuse.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: the record's keys are unusable.
 */
export function identityOf(
  record: RegistrarRecord,
  rules: IdentityRules,
  admitted: AdmittedNodes,
  now: Date,
): NodeIdentity {
  const { ekFingerprint, ekUuid } = registeredKeys(record)
  const address = addressOf(record)
  const node = { agentId: record.agentId, ekFingerprint, address, ekUuid, ek: ekOf(record, rules, now) }
  return judgeIdentity(node, rules, admitted.holder(record.agentId))
}

/**
 * Explains a failed proof by naming the node that the registrar holds for the ID: the answer may come from another one.
 *
 * @param error The failure of the local proof.
 * @param record The registrar record it was proved against.
 * @returns The same failure with EK and address of the registered node in its message.
 */
export function withRegisteredNode(error: KeylimeError, record: RegistrarRecord): KeylimeError {
  if (!isKeylimeError(error, 'KEYLIME_QUOTE_REJECTED')) return error
  const ek = registeredKeys(record).ekFingerprint
  const address = addressOf(record)
  return new KeylimeError(
    error.code,
    `${error.message}; agent id ${record.agentId} is registered for the TPM with EK ${shortFingerprint(ek)} at ${address}`,
    { cause: error, facts: { ...error.facts, registered_ek: ek, registered_at: address } },
  )
}

// The address is what a node said of itself when it registered: any text.
function addressOf({ ip, port }: RegistrarRecord): string {
  if (typeof ip !== 'string' || ip === '') return 'an unknown address'
  const said = oneLine(ip)
  return typeof port === 'number' ? `${said}:${String(port)}` : said
}

// By record and anchors: a record object stands for unchanged keys, the anchors change with the configuration.
const chains = new WeakMap<EkAnchors, WeakMap<RegistrarRecord, { readonly chain: EkChain; readonly at: number }>>()

// Only a chain that holds is believed: what is refused may be mended at any moment.
function ekOf(record: RegistrarRecord, rules: IdentityRules, now: Date): RegisteredNode['ek'] {
  const { ekAnchors: anchors, requireEkDates = false } = rules
  if (anchors === undefined) return undefined
  if (record.ekCert === undefined) return 'none'
  const perRecord = chains.get(anchors) ?? new WeakMap()
  chains.set(anchors, perRecord)
  const known = perRecord.get(record)
  const time = now.getTime()
  if (known !== undefined && Math.abs(time - known.at) < CHAIN_TTL_MS && time <= known.chain.validUntil) {
    return known.chain
  }
  const chain = judgeEkChain(record.ekCert, registeredKeys(record).ek, anchors, { now, decide: requireEkDates })
  if (!('fault' in chain)) perRecord.set(record, { chain, at: time })
  return chain
}
