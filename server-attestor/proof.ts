/**
 * The local proof of one attestation: the quote against the registrar's keys, then whose TPM that is.
 *
 * @module
 */

import { type IdentityRules, type NodeIdentity, undecidedHolder, withoutHolder } from '@tower-of-omens/gate'
import type { AgentId } from '@tower-of-omens/keylime'
import { KeylimeError } from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'
import {
  checkBoundQuote,
  checkQuoteBinding,
  type Evidence,
  type ParsedQuote,
  parseQuote,
  requireBoundSigner,
  requireSigner,
} from '@tower-of-omens/keylime/evidence'
import type { AttestStream } from '@tower-of-omens/spire-sdk'
import { agentSpiffeId, RpcError } from '@tower-of-omens/spire-sdk'
import type { HashAlg } from '@tower-of-omens/tpm'
import { type AdmittedNodes, identityOf, withRegisteredNode } from './identity/identity.ts'
import type { Asker } from './reading/lanes.ts'
import type { RegistrarRecords } from './reading/registrar-records.ts'
import { PLUGIN_NAME } from './schema.ts'

/** What proves a quote. */
export interface Proof {
  readonly registered: RegistrarRecord
  /** Another registrar, asked before, holds another TPM for this ID: then no earlier opinion of the verifier counts. */
  readonly contested: boolean
  /** When the registrar was asked, by the clock of its records; undefined: it was not, the record is a remembered one. */
  readonly readAt: number | undefined
}

/** A node that proved itself. */
export interface ProvedNode extends Proof {
  readonly identity: NodeIdentity
}

/** A quote that passed every check that needs no record, and the record that proved it. */
export interface CheckedQuote {
  readonly evidence: Evidence
  readonly quote: ParsedQuote
  /** Proves it for good: a record object never changes, and one that is read again unchanged is the same object. */
  provedBy?: RegistrarRecord
}

/** What says whose TPM a node is. */
export interface IdentitySource {
  readonly trustDomain: string
  readonly rules: IdentityRules
  readonly admitted: AdmittedNodes
  /** Tells the time for certificates. */
  readonly now: () => Date
}

/** Bound of the one question to SPIRE about an ID that another TPM held. */
const AGENT_STORE_TIMEOUT_MS = 2_000

/**
 * Checks what needs no remote call, so that an unproven caller costs nothing; done once, however many records the quote is
 * held against.
 *
 * @param evidence What the caller sent.
 * @param allowedHashAlgs What is accepted.
 * @returns The quote, to be proved.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED` or `KEYLIME_BAD_MESSAGE`.
 */
export function checkQuote(evidence: Evidence, allowedHashAlgs: readonly HashAlg[]): CheckedQuote {
  const { bound } = evidence
  const quote = parseQuote(evidence.quote)
  if (bound === undefined) checkQuoteBinding(quote, { ...evidence, allowedHashAlgs })
  else checkBoundQuote(quote, bound, { ...evidence, allowedHashAlgs })
  return { evidence, quote }
}

/**
 * Proves a quote. A node that was admitted before proves itself by the record it was admitted by, which then has to be
 * renewed.
 *
 * With several registrars, a record that proves nothing is no verdict before the others were asked.
 *
 * @param checked The quote.
 * @param registrar The registrars.
 * @param asker Who asks.
 * @param signal Ends the attestation.
 * @returns The registrar record that proves it.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`, or a failure of a registrar.
 */
export async function prove(
  checked: CheckedQuote,
  registrar: RegistrarRecords,
  asker: Asker,
  signal: AbortSignal,
): Promise<Proof> {
  const remembered = registrar.remembered(checked.evidence.agentId)
  if (remembered === undefined) return proveAnew(checked, registrar, asker, signal)
  const failure = failureWith(checked, remembered)
  if (failure === undefined) return { registered: remembered, contested: false, readAt: undefined }
  // Who cannot prove himself by the record of the node that he names is a stranger until he does.
  return proveAnew(checked, registrar, { ...asker, isKnown: false }, signal)
}

/**
 * Proves a quote by what the registrars hold now.
 *
 * @param checked The quote.
 * @param registrar The registrars.
 * @param asker Who asks.
 * @param signal Ends the attestation.
 * @returns The registrar record that proves it.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`, or a failure of a registrar.
 */
export async function proveAnew(
  checked: CheckedQuote,
  registrar: RegistrarRecords,
  asker: Asker,
  signal: AbortSignal,
): Promise<Proof> {
  const { record, readAt } = await registrar.read(checked.evidence.agentId, asker, signal)
  const failure = failureWith(checked, record)
  if (failure === undefined) return { registered: record, contested: false, readAt }
  const others = await registrar.others(record, asker, signal)
  const registered = others.records.find((other) => failureWith(checked, other) === undefined)
  if (registered === undefined) throw others.failure ?? failure
  return { registered, contested: true, readAt: registrar.now() }
}

/**
 * Proves a quote once more at the end of a wait: by then the registrar may hold another TPM for the ID, and the verifier's
 * record, read last, would be of that one. Of a contested ID the verifier itself has just confirmed the AK.
 *
 * @param checked The quote.
 * @param proof What proved it before.
 * @param registrar The registrars.
 * @param asker Who asks.
 * @param signal Ends the attestation.
 * @throws {KeylimeError} `KEYLIME_QUOTE_REJECTED`: the ID belongs to another TPM now. `KEYLIME_UNAVAILABLE`: the registrars
 *   began to disagree, and the verifier has to be asked anew. Or a failure of a registrar.
 */
export async function proveAgain(
  checked: CheckedQuote,
  { contested }: Proof,
  registrar: RegistrarRecords,
  asker: Asker,
  signal: AbortSignal,
): Promise<void> {
  if (contested) return
  const renewed = await proveAnew(checked, registrar, asker, signal)
  if (!renewed.contested) return
  const { agentId } = checked.evidence
  const text = `the keylime registrars began to disagree about agent ${agentId} while it waited; try again`
  throw new KeylimeError('KEYLIME_UNAVAILABLE', text, { facts: { agent_id: agentId } })
}

function failureWith(checked: CheckedQuote, record: RegistrarRecord): KeylimeError | undefined {
  if (checked.provedBy === record) return undefined
  const { agentId, bound } = checked.evidence
  try {
    if (bound === undefined) requireSigner(checked.quote, record, agentId)
    else requireBoundSigner(checked.quote, bound, record, agentId)
    checked.provedBy = record
    return undefined
  } catch (error) {
    if (error instanceof KeylimeError) return withRegisteredNode(error, record)
    throw error
  }
}

/**
 * Judges whose TPM a proved node is, and whether another one held its ID before.
 *
 * @param registered Its registrar record.
 * @param source Rules and memory.
 * @param stream The attestation: its log, and the host's agent store.
 * @returns Who it is, with every reason to refuse.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: the record's keys are unusable.
 */
export async function identify(
  registered: RegistrarRecord,
  { trustDomain, rules, admitted, now }: IdentitySource,
  stream: Pick<AttestStream, 'hosts' | 'log' | 'signal'>,
): Promise<NodeIdentity> {
  const identity = identityOf(registered, rules, admitted, now())
  if (identity.heldBy === undefined) return identity
  const answer = await isStillAttested(trustDomain, identity.heldBy.agentId, stream)
  if (answer === 'yes') return identity
  if (answer === 'cannot say') return undecidedHolder(identity)
  const passes = identity.heldBy.agentId === registered.agentId ? 'to another TPM' : 'to another spelling'
  stream.log.warn(`Agent ID passes ${passes}: SPIRE no longer knows the node that held it`, {
    agent_id: registered.agentId,
    held_as: identity.heldBy.agentId,
    held_by_ek: identity.heldBy.ekFingerprint,
    held_at: identity.heldBy.address,
    ek_sha256: identity.ekFingerprint,
    address: identity.address,
  })
  return withoutHolder(identity)
}

// A host without an agent store, or one that is still loading its plugins, leaves the ID with the TPM that holds it.
async function isStillAttested(
  trustDomain: string,
  agentId: AgentId,
  { hosts, signal }: Pick<AttestStream, 'hosts' | 'signal'>,
): Promise<'yes' | 'no' | 'cannot say'> {
  try {
    const spiffeId = agentSpiffeId(trustDomain, PLUGIN_NAME, agentId)
    const store = await hosts.agentStore()
    return (await store.hasAgent(spiffeId, { signal, timeoutMs: AGENT_STORE_TIMEOUT_MS })) ? 'yes' : 'no'
  } catch (error) {
    return error instanceof RpcError && error.status === 'FAILED_PRECONDITION' ? 'yes' : 'cannot say'
  }
}
