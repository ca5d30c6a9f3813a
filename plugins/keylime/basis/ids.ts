/**
 * Agent IDs: the one value of a caller that reaches a URL and a SPIFFE ID, so it is parsed once, here.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { KeylimeError } from './errors.ts'
import { cut } from './printable.ts'

/** The ID of a Keylime agent; only {@link parseAgentId} makes one, so it is safe in a URL and as a SPIFFE ID segment. */
export type AgentId = string & { readonly __brand: 'AgentId' }

/** The length of the longest agent ID. */
export const MAX_AGENT_ID_CHARACTERS = 80

// The intersection of Keylime's `[\w.-]+` of at most 80 characters and a SPIFFE ID path segment.
const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/

/**
 * Tells whether a text is a usable agent ID.
 *
 * @param text Any text.
 * @returns True for 1-80 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
 */
export function isAgentId(text: string): text is AgentId {
  return AGENT_ID.test(text)
}

/**
 * Parses an agent ID; the only door by which a text becomes an {@link AgentId}.
 *
 * @param text Untrusted text; 1-80 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
 * @returns The same text, branded.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: any other character or length. The text itself is shown quoted and cut.
 * @see keylime 9b1f6e6a, keylime/common/validators.py
 */
export function parseAgentId(text: string): AgentId {
  if (isAgentId(text)) return text
  const shown = JSON.stringify(cut(text, 80))
  throw new KeylimeError(
    'KEYLIME_BAD_MESSAGE',
    `agent id ${shown} is not usable: expected 1 to 80 of A-Z, a-z, 0-9, ".", "_", "-", beginning with a letter or digit`,
  )
}

/**
 * Computes the agent ID that `uuid = "hash_ek"` gives a Keylime agent.
 *
 * @param ekPem The EK public key as SPKI PEM, final newline included.
 * @returns 64 hex digits.
 * @see rust-keylime 3a4d5654, keylime/src/hash_ek.rs
 */
export function ekUuid(ekPem: string): string {
  return createHash('sha256').update(ekPem).digest('hex')
}

/** The ID that every unconfigured Keylime agent claims, so it names nobody. @see rust-keylime 3a4d5654, keylime/src/config/base.rs */
export const DEFAULT_AGENT_UUID: AgentId = parseAgentId('d432fbb3-d2f1-4a97-9ef7-75bd81c00000')
