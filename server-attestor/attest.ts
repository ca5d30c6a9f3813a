/**
 * The server side of one Keylime attestation: payload, challenge, local proof, second opinion, gate.
 *
 * @module
 */

import {
  AttestError,
  attestationAge,
  attestError,
  inWords,
  type LogFacts,
  type Reason,
  selectorsFor,
} from '@tower-of-omens/gate'
import type { AgentId } from '@tower-of-omens/keylime'
import { type Deadline, untilAborted, withDeadline } from '@tower-of-omens/keylime'
import {
  type ChallengeResponse,
  encodeChallenge,
  newNonce,
  parseChallengeResponse,
  parsePayload,
} from '@tower-of-omens/keylime/evidence'
import type { AgentAttributes, AttestStream } from '@tower-of-omens/spire-sdk'
import { agentSpiffeId } from '@tower-of-omens/spire-sdk'
import { type Attestor, PLUGIN_NAME } from './context.ts'
import { defaultUuidReasons, overtakenReasons } from './identity.ts'
import { identify, type NodeEvidence, type ProvedNode, prove } from './proof.ts'
import { type Standing, standingOf, waitForStanding } from './standing.ts'

/** Is the limit of one attestation from the challenge on, `wait_for_attestation` not included. */
export const ATTESTATION_LIMIT_MS = 30_000

/** Gathers what is known of an attestation for its one log line, also when it fails. */
export interface AttestationNotes {
  agentId?: AgentId
  facts: LogFacts
  /** Whether the quote is proved: before that the caller is a stranger. */
  proved: boolean
}

/**
 * Attests one node: has it quote a fresh nonce, proves the quote, and asks Keylime how the node stands.
 *
 * The payload only names a Keylime agent. The quote, verified here with the AK that the registrar holds for that name,
 * proves that the caller commands that TPM; the selectors come from Keylime's two records. Nothing else the caller says
 * reaches the result.
 *
 * @param stream One `Attest` call, whose messages are bounded to 64 KiB.
 * @param attestor Configuration in force and the services made from it.
 * @param notes Filled in on the way.
 * @returns SPIFFE ID `spiffe://<trust domain>/spire/agent/keylime/<agent id>` and its selectors.
 * @throws {AttestError} A verdict, a "not yet", or a fault of the verifier, with its code.
 * @throws {KeylimeError} A message does not parse, the local proof fails (`KEYLIME_QUOTE_REJECTED`), or registrar or
 *   verifier cannot answer. `status.ts` maps each.
 * @see spire-plugin-sdk 13afea2, proto/spire/plugin/server/nodeattestor/v1/nodeattestor.proto
 */
export async function attest(
  stream: AttestStream,
  attestor: Attestor,
  notes: AttestationNotes,
): Promise<AgentAttributes> {
  const call: Call = { stream, attestor, notes }
  const payload = parsePayload(await stream.receivePayload())
  notes.agentId = payload.agentId
  requireNone(defaultUuidReasons(payload.agentId, attestor.config.identity), call)

  const { node, first } = await withDeadline(stream.signal, ATTESTATION_LIMIT_MS, async (deadline) => {
    const nonce = newNonce()
    const response = await challenge(nonce, deadline, call)
    const evidence: NodeEvidence = { ...payload, nonce, ...response }
    const proved = await proveNode(evidence, deadline, call)
    // After the proof, not before: a caller can hold the challenge while its node turns bad.
    return { node: proved, first: await standingOf(evidence, proved, attestor, deadline) }
  })
  const standing = await waitForStanding(first, node, attestor, stream)
  requireAdmitted(standing, call)
  // Nothing is awaited from here on, so of two that attest at the same moment one comes first.
  requireNone(overtakenReasons(node.identity, attestor.admitted), call)
  remember(node, standing, call)
  return attributesOf(node, standing, payload.hashAlg, attestor)
}

interface Call {
  readonly stream: AttestStream
  readonly attestor: Attestor
  readonly notes: AttestationNotes
}

async function challenge(nonce: string, deadline: Deadline, { stream }: Call): Promise<ChallengeResponse> {
  try {
    const answer = stream.challenge(encodeChallenge({ nonce }))
    return parseChallengeResponse(await untilAborted(deadline.signal, answer))
  } catch (error) {
    if (deadline.passed) throw attestError('KL-DEADLINE', { limit_s: ATTESTATION_LIMIT_MS / 1_000 })
    throw error
  }
}

async function proveNode(evidence: NodeEvidence, deadline: Deadline, call: Call): Promise<ProvedNode> {
  const { stream, attestor, notes } = call
  const proof = await prove(evidence, attestor, deadline.signal)
  notes.proved = true
  const identity = await identify(proof.registered, attestor, stream)
  notes.facts = {
    ...notes.facts,
    ek_sha256: identity.ekFingerprint,
    ...(proof.contested && { registrars_disagree: true }),
    ...(identity.ekOutOfDate !== undefined && { ek_certificate: identity.ekOutOfDate }),
  }
  requireNone(identity.reasons, call)
  return { ...proof, identity }
}

/** Refuses on any reason, or in shadow mode only says that it would. */
function requireNone(reasons: readonly Reason[], call: Call): void {
  const [first, ...rest] = reasons
  if (first === undefined) return
  if (call.attestor.config.gate.enforce) throw new AttestError([first, ...rest])
  reportShadowed(reasons, call)
}

/** Lets only `admit` of the gate through. */
function requireAdmitted({ verifier, decision }: Standing, call: Call): void {
  call.notes.facts = { ...call.notes.facts, verifier }
  reportShadowed(decision.shadowed, call)
  if (decision.kind !== 'admit') throw new AttestError(decision.reasons)
}

function reportShadowed(reasons: readonly Reason[], { stream, attestor, notes }: Call): void {
  if (reasons.length === 0) return
  stream.log.warn('Shadow mode: would refuse this node', {
    agent_id: notes.agentId,
    clauses: inWords(reasons),
  })
  for (const { code } of reasons) attestor.metrics.shadowed(code)
}

function remember({ registered, identity }: ProvedNode, standing: Standing, { stream, attestor, notes }: Call): void {
  const { record, decision } = standing
  const { agentId } = registered
  const age = attestationAge(record) ?? 0
  notes.facts = { ...notes.facts, age_s: age, attestation_count: record.attestationCount ?? 0 }
  attestor.admitted.add(identity)
  attestor.policies.look(agentId, decision.policy, stream.log)
  attestor.metrics.admitted(age, decision.policy.strength)
}

function attributesOf(
  { registered, identity }: ProvedNode,
  { record, decision }: Standing,
  hashAlg: string,
  { config }: Attestor,
): AgentAttributes {
  const { agentId } = registered
  const { policy, strength } = decision.policy
  return {
    spiffeId: agentSpiffeId(config.trustDomain, PLUGIN_NAME, agentId),
    selectorValues: selectorsFor({
      agentId,
      hashAlg,
      ekFingerprint: identity.ekFingerprint,
      ekCaFingerprint: identity.ekCaFingerprint,
      ip: record.ip,
      policySha256: policy?.sha256,
      strength,
    }),
    canReattest: true,
  }
}
