/**
 * SPIFFE IDs and trust domains, checked character by character.
 *
 * @see spiffe/go-spiffe, spiffeid/path.go and spiffeid/charset.go
 * @module
 */
import { RpcError } from './rpc-error.ts'

/** Longest ID every SPIRE database holds: MySQL keeps it in varchar(255). */
export const MAX_SPIFFE_ID_BYTES = 255

const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/
const PATH_SEGMENT = /^[A-Za-z0-9._-]+$/
const SCHEME = 'spiffe://'

/** A SPIFFE ID taken apart. */
export interface SpiffeId {
  /** Such as `example.org`. */
  readonly trustDomain: string
  /** Empty, or `/` and segments: `/spire/agent/keylime/node-1`. */
  readonly path: string
}

/**
 * Checks the bare name of a trust domain.
 *
 * @param text Such as `example.org`; without `spiffe://`.
 * @returns The same text.
 * @throws {RpcError} `INVALID_ARGUMENT`: it is empty, longer than 255 bytes, or has a character other than `a-z`,
 *   `0-9`, `.`, `-`, `_`.
 */
export function parseTrustDomain(text: string): string {
  if (TRUST_DOMAIN.test(text)) return text
  throw new RpcError(
    'INVALID_ARGUMENT',
    `trust domain ${quoted(text)} is not valid: expected 1 to 255 of a-z, 0-9, ".", "-", "_"`,
  )
}

/**
 * Builds the ID of an agent, `spiffe://<trust domain>/spire/agent/<plugin name>/<id>`.
 *
 * @param trustDomain Bare name of the trust domain.
 * @param pluginName Name of the plugin in SPIRE's configuration, such as `keylime`.
 * @param id What makes the agent unique: one path segment.
 * @param more Further path segments, if one is not enough.
 * @returns SPIFFE ID of at most 255 bytes.
 * @throws {RpcError} `INVALID_ARGUMENT`: a part has a character no SPIFFE ID may have, is `.` or `..`, or the whole is
 *   too long.
 */
export function agentSpiffeId(trustDomain: string, pluginName: string, id: string, ...more: readonly string[]): string {
  const domain = parseTrustDomain(trustDomain)
  const segments = [requireSegment(pluginName, 'plugin name'), requireSegment(id, 'agent ID')]
  for (const segment of more) segments.push(requireSegment(segment, 'agent ID'))
  const spiffeId = `${SCHEME}${domain}/spire/agent/${segments.join('/')}`
  if (spiffeId.length > MAX_SPIFFE_ID_BYTES) {
    throw new RpcError('INVALID_ARGUMENT', `SPIFFE ID has ${spiffeId.length} bytes, at most 255 are allowed`)
  }
  return spiffeId
}

/**
 * Takes a SPIFFE ID apart.
 *
 * @param text Such as `spiffe://example.org/spire/agent/keylime/node-1`; at most 2048 bytes.
 * @returns Trust domain and path.
 * @throws {RpcError} `INVALID_ARGUMENT`: the text is not a SPIFFE ID.
 */
export function parseSpiffeId(text: string): SpiffeId {
  if (!text.startsWith(SCHEME)) {
    throw new RpcError('INVALID_ARGUMENT', `SPIFFE ID ${quoted(text)} does not start with ${SCHEME}`)
  }
  if (text.length > 2048) throw new RpcError('INVALID_ARGUMENT', 'SPIFFE ID is longer than 2048 bytes')
  const slash = text.indexOf('/', SCHEME.length)
  const end = slash === -1 ? text.length : slash
  const trustDomain = parseTrustDomain(text.slice(SCHEME.length, end))
  const path = text.slice(end)
  if (path !== '') for (const segment of path.slice(1).split('/')) requireSegment(segment, 'SPIFFE ID path')
  return { trustDomain, path }
}

function requireSegment(text: string, what: string): string {
  if (PATH_SEGMENT.test(text) && text !== '.' && text !== '..') return text
  throw new RpcError(
    'INVALID_ARGUMENT',
    `${what} ${quoted(text)} is not valid: expected one or more of A-Z, a-z, 0-9, ".", "-", "_", but not "." or ".."`,
  )
}

// Bounded, and with control characters escaped: the text may come from an unproven caller.
function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text)
}
