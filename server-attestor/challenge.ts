/**
 * From a payload to evidence: which kind is accepted, what is asked, and what came back.
 *
 * @module
 */
import { attestError, type EvidenceKind, type ProvedPcrs } from '@tower-of-omens/gate'
import { type Deadline, untilAborted } from '@tower-of-omens/keylime'
import {
  type Challenge,
  type ChallengeResponse,
  type Evidence,
  encodeChallenge,
  newNonce,
  type Payload,
  parseChallengeResponse,
  parseQuote,
} from '@tower-of-omens/keylime/evidence'
import type { AttestStream } from '@tower-of-omens/spire-sdk'
import type { ServerConfig } from './config.ts'
import { issueTask } from './tpm-task.ts'

/** The limit of one attestation from the challenge on, `wait_for_attestation` not included. */
export const ATTESTATION_LIMIT_MS = 30_000

/**
 * Challenges a node. Asks nobody but the node.
 *
 * @param payload What it claims.
 * @param config Which evidence is accepted.
 * @param stream The call.
 * @param deadline Limit of the attestation.
 * @returns What the node sent, beside what was asked; nothing is proved.
 * @throws {AttestError} `KL-EVIDENCE-NOT-ACCEPTED`, `KL-DEADLINE`.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: a message does not parse.
 */
export async function challengeNode(
  payload: Payload,
  config: ServerConfig,
  stream: AttestStream,
  deadline: Deadline,
): Promise<Evidence> {
  const { acceptEvidence, trustDomain, pcrBank } = config
  const keys = acceptEvidence.includes('tpm') ? payload.keys : undefined
  const kind: EvidenceKind = keys === undefined ? 'keylime-agent' : 'tpm'
  if (!acceptEvidence.includes(kind)) {
    throw attestError('KL-EVIDENCE-NOT-ACCEPTED', { accepted: acceptEvidence.map((one) => `"${one}"`).join(', ') })
  }
  const nonce = newNonce()
  const { agentId, hashAlg } = payload
  if (keys === undefined) {
    const { quote, pubkey } = await ask({ nonce }, stream, deadline)
    return { agentId, hashAlg, nonce, quote, pubkey }
  }
  const { task, expected } = issueTask({ ...payload, keys }, { nonce, trustDomain, bank: pcrBank })
  const { quote } = await ask({ nonce, task }, stream, deadline)
  // The verifier takes base64 for a nonce that is not text.
  const signed = Buffer.from(expected.extraData).toString('base64')
  return { agentId, hashAlg, nonce: signed, quote, bound: expected }
}

async function ask(challenge: Challenge, stream: AttestStream, deadline: Deadline): Promise<ChallengeResponse> {
  try {
    return parseChallengeResponse(await untilAborted(deadline.signal, stream.challenge(encodeChallenge(challenge))))
  } catch (error) {
    if (deadline.passed) throw attestError('KL-DEADLINE', { limit_s: ATTESTATION_LIMIT_MS / 1_000 })
    throw error
  }
}

/** Tells where evidence comes from. @param evidence Any. @returns Its kind. */
export function kindOf({ bound }: Evidence): EvidenceKind {
  return bound === undefined ? 'keylime-agent' : 'tpm'
}

/**
 * Reads the PCR values out of evidence that was proved.
 *
 * @param evidence Proved.
 * @returns The values by PCR; undefined: a Keylime agent's identity quote, which covers PCR 16 alone.
 */
export function provedPcrsOf({ bound, quote }: Evidence): ProvedPcrs | undefined {
  if (bound === undefined) return undefined
  const { selection, values } = parseQuote(quote).pcrs
  return {
    bank: selection.hashAlg,
    values: new Map(selection.pcrs.map((pcr, index) => [pcr, values[index] ?? Buffer.alloc(0)])),
  }
}
