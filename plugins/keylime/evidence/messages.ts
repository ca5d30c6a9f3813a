/**
 * The three messages between our halves: UTF-8 JSON with the Go plugin's names, `[]byte` fields as padded base64.
 *
 * Either half may face the Go plugin, so the names and forms here are fixed.
 *
 * @see keylime/spire-keylime-plugin 9f270a0, pkg/common/keylime.go
 * @module
 */
import { type HashAlg, isHashAlg } from '@tower-of-omens/tpm'
import { type AgentId, parseAgentId } from '../basis/ids.ts'
import { badMessage, decodeMessage, encodeMessage, isLeftOut, readText } from './message-fields.ts'
import { isQuotableNonce } from './nonce.ts'
import {
  type ClaimedKeys,
  challengeFields,
  payloadFields,
  readClaimedKeys,
  readTpmTask,
  type TpmTask,
} from './tpm-messages.ts'

export { MAX_MESSAGE_BYTES } from './message-fields.ts'

/**
 * Opening of an attestation: which Keylime agent this node claims to be. Nothing in it is proved.
 *
 * @template Hash Name of the hash: the agent half sends on what its Keylime agent says, and the server half judges it.
 */
export interface Payload<Hash extends string = HashAlg> {
  readonly agentId: AgentId
  readonly hashAlg: Hash
  /** Keys of a node that quotes by itself; absent where its Keylime agent quotes. */
  readonly keys?: ClaimedKeys | undefined
}

/** Demand for a quote over a fresh nonce. */
export interface Challenge {
  readonly nonce: string
  /** For a node that quotes by itself; absent: an identity quote is wanted. */
  readonly task?: TpmTask | undefined
}

/** Answer with the quote in Keylime's string form. */
export interface ChallengeResponse {
  readonly quote: string
  /** The agent's PEM that the quote binds through PCR 16; a Go agent half does not send it. */
  readonly pubkey?: string | undefined
}

/** Encodes a payload. @param payload Its fields. @returns JSON bytes. */
export function encodePayload({ agentId, hashAlg, keys }: Payload<string>): Buffer {
  return encodeMessage('payload', { AgentID: agentId, HashAlg: hashAlg, ...payloadFields(keys) })
}

/**
 * Parses a payload.
 *
 * @param bytes Untrusted bytes.
 * @returns Agent ID and hash, each of known form.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: too large, not JSON, a field missing, an ID or a hash of another form.
 */
export function parsePayload(bytes: Uint8Array): Payload {
  const fields = decodeMessage('payload', bytes)
  const agentId = parseAgentId(readText('payload', fields, 'AgentID'))
  const hashAlg = readText('payload', fields, 'HashAlg')
  if (!isHashAlg(hashAlg)) {
    throw badMessage('payload field HashAlg is not a TPM hash algorithm: expected one such as sha256')
  }
  const keys = readClaimedKeys(fields)
  return { agentId, hashAlg, ...(keys !== undefined && { keys }) }
}

/** Encodes a challenge. @param challenge The nonce, and the task where there is one. @returns JSON bytes. */
export function encodeChallenge({ nonce, task }: Challenge): Buffer {
  return encodeMessage('challenge', { Nonce: nonce, ...challengeFields(task) })
}

/**
 * Parses a challenge.
 *
 * @param bytes Untrusted bytes.
 * @returns A nonce that a Keylime agent will quote over and that is safe in a URL, and the task where there is one.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: too large, not JSON, no nonce, or not 1-64 letters and digits; a task
 *   with a field missing or of another form.
 */
export function parseChallenge(bytes: Uint8Array): Challenge {
  const fields = decodeMessage('challenge', bytes)
  const nonce = readText('challenge', fields, 'Nonce')
  if (!isQuotableNonce(nonce)) {
    throw badMessage('challenge field Nonce is not usable: expected 1 to 64 ASCII letters and digits')
  }
  const task = readTpmTask(fields)
  return { nonce, ...(task !== undefined && { task }) }
}

/**
 * Encodes a challenge response.
 *
 * @param response The quote and, when the Keylime agent sent it, its public key.
 * @returns JSON bytes.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: the Keylime agent's answer is too large to send.
 */
export function encodeChallengeResponse({ quote, pubkey }: ChallengeResponse): Buffer {
  return encodeMessage('challenge response', { TPMQuote: quote, PubKey: pubkey })
}

/**
 * Parses a challenge response.
 *
 * @param bytes Untrusted bytes.
 * @returns The quote string, not yet parsed, and the public key text; absent, null and empty `PubKey` are all absent.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: too large, not JSON, no quote, or a field that is not base64 of ASCII.
 */
export function parseChallengeResponse(bytes: Uint8Array): ChallengeResponse {
  const fields = decodeMessage('challenge response', bytes)
  const quote = readText('challenge response', fields, 'TPMQuote')
  if (isLeftOut(fields, 'PubKey')) return { quote }
  return { quote, pubkey: readText('challenge response', fields, 'PubKey') }
}
