/**
 * The three messages between our halves: UTF-8 JSON with the Go plugin's names, `[]byte` fields as padded base64.
 *
 * Either half may face the Go plugin, so the names and forms here are fixed.
 *
 * @see keylime/spire-keylime-plugin 9f270a0, pkg/common/keylime.go
 * @module
 */
import { type HashAlg, isHashAlg } from '@tower-of-omens/tpm'
import { KeylimeError } from '../basis/errors.ts'
import { type AgentId, parseAgentId } from '../basis/ids.ts'
import { isQuotableNonce } from './nonce.ts'

/** Bounds every message, in bytes; a response with an identity quote takes about 3 KiB. */
export const MAX_MESSAGE_BYTES = 65_536

/** Says which Keylime agent a node claims to be, in its own words. */
export interface ClaimedIdentity {
  readonly agentId: AgentId
  /** As the Keylime agent names it; the server half judges it. */
  readonly hashAlg: string
}

/** Opens an attestation: which Keylime agent this node claims to be. Nothing in it is proved. */
export interface Payload extends ClaimedIdentity {
  readonly hashAlg: HashAlg
}

/** Asks for a quote over a fresh nonce. */
export interface Challenge {
  readonly nonce: string
}

/** Answers with the quote in Keylime's string form. */
export interface ChallengeResponse {
  readonly quote: string
  /** The agent's PEM that the quote binds through PCR 16; a Go agent half does not send it. */
  readonly pubkey?: string | undefined
}

/** Encodes a payload. @param identity Both fields. @returns JSON bytes. */
export function encodePayload({ agentId, hashAlg }: ClaimedIdentity): Buffer {
  return encode('payload', { AgentID: agentId, HashAlg: hashAlg })
}

/**
 * Parses a payload.
 *
 * @param bytes Untrusted bytes.
 * @returns Agent ID and hash, each of known form.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: too large, not JSON, a field missing, an ID or a hash of another form.
 */
export function parsePayload(bytes: Uint8Array): Payload {
  const fields = decode('payload', bytes)
  const agentId = parseAgentId(readText('payload', fields, 'AgentID'))
  const hashAlg = readText('payload', fields, 'HashAlg')
  if (!isHashAlg(hashAlg)) throw bad('payload field HashAlg is not a TPM hash algorithm: expected one such as sha256')
  return { agentId, hashAlg }
}

/** Encodes a challenge. @param challenge The nonce. @returns JSON bytes. */
export function encodeChallenge({ nonce }: Challenge): Buffer {
  return encode('challenge', { Nonce: nonce })
}

/**
 * Parses a challenge.
 *
 * @param bytes Untrusted bytes.
 * @returns A nonce that a Keylime agent will quote over and that is safe in a URL.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: too large, not JSON, no nonce, or not 1-64 letters and digits.
 */
export function parseChallenge(bytes: Uint8Array): Challenge {
  const nonce = readText('challenge', decode('challenge', bytes), 'Nonce')
  if (!isQuotableNonce(nonce))
    throw bad('challenge field Nonce is not usable: expected 1 to 64 ASCII letters and digits')
  return { nonce }
}

/**
 * Encodes a challenge response.
 *
 * @param response The quote and, when the Keylime agent sent it, its public key.
 * @returns JSON bytes.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: the Keylime agent's answer is too large to send.
 */
export function encodeChallengeResponse({ quote, pubkey }: ChallengeResponse): Buffer {
  return encode('challenge response', pubkey === undefined ? { TPMQuote: quote } : { TPMQuote: quote, PubKey: pubkey })
}

/**
 * Parses a challenge response.
 *
 * @param bytes Untrusted bytes.
 * @returns The quote string, not yet parsed, and the public key text; absent, null and empty `PubKey` are all absent.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: too large, not JSON, no quote, or a field that is not base64 of ASCII.
 */
export function parseChallengeResponse(bytes: Uint8Array): ChallengeResponse {
  const fields = decode('challenge response', bytes)
  const quote = readText('challenge response', fields, 'TPMQuote')
  const sent = fields.get('PubKey')
  if (sent === undefined || sent === null || sent === '') return { quote }
  return { quote, pubkey: readText('challenge response', fields, 'PubKey') }
}

function encode(message: string, fields: Readonly<Record<string, string>>): Buffer {
  const encoded = Object.entries(fields).map(([name, text]) => [name, Buffer.from(text).toString('base64')])
  const bytes = Buffer.from(JSON.stringify(Object.fromEntries(encoded)))
  if (bytes.length <= MAX_MESSAGE_BYTES) return bytes
  throw new KeylimeError(
    'KEYLIME_BAD_RESPONSE',
    `${message} is too large to send: expected at most ${MAX_MESSAGE_BYTES} bytes, found ${bytes.length}`,
  )
}

/** A map, not an object: no field name of the sender can reach a prototype. */
function decode(message: string, bytes: Uint8Array): ReadonlyMap<string, unknown> {
  if (bytes.length > MAX_MESSAGE_BYTES) {
    throw bad(`${message} is too large: expected at most ${MAX_MESSAGE_BYTES} bytes, found ${bytes.length}`)
  }
  const value = parseJson(message, bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(`${message} is not a JSON object`)
  return new Map<string, unknown>(Object.entries(value))
}

function parseJson(message: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    // The parser's own message quotes the input, so it is not kept.
    throw bad(`${message} is not valid JSON`)
  }
}

function readText(message: string, fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name)
  if (value === undefined || value === null) throw bad(`${message} lacks field ${name}`)
  if (typeof value !== 'string') throw bad(`${message} field ${name} is not a base64 string`)
  const bytes = Buffer.from(value, 'base64')
  // Node skips what it cannot read; only canonical base64 survives the way back.
  if (bytes.toString('base64') !== value) throw bad(`${message} field ${name} is not padded standard base64`)
  if (bytes.length === 0) throw bad(`${message} field ${name} is empty`)
  if (bytes.some((byte) => byte > 0x7f)) throw bad(`${message} field ${name} holds other than ASCII text`)
  return bytes.toString('latin1')
}

function bad(text: string): KeylimeError {
  return new KeylimeError('KEYLIME_BAD_MESSAGE', text)
}
