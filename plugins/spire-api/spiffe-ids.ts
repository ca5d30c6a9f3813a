/**
 * SPIFFE IDs between text and the two parts that SPIRE's API carries.
 *
 * @module
 */
import { SpireApiError } from './errors.ts'
import type { SPIFFEID } from './gen/spire/api/types/spiffeid.ts'

const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/

/**
 * Takes a SPIFFE ID apart.
 *
 * @param text Such as `spiffe://example.org/spire/agent/keylime/node-1`.
 * @returns Its parts, or undefined when it is none.
 */
export function spiffeIdParts(text: string): SPIFFEID | undefined {
  const match = text.length <= 2_048 ? SPIFFE_ID.exec(text) : null
  const [, trustDomain = '', path = ''] = match ?? []
  if (match === null || path.split('/').some((segment) => segment === '.' || segment === '..')) return undefined
  return { trustDomain, path }
}

/**
 * Takes a SPIFFE ID apart that goes into a request.
 *
 * @param text The ID.
 * @returns Its parts.
 * @throws {SpireApiError} `SPIRE_FAILED`: it is no SPIFFE ID; nothing was sent.
 */
export function requireSpiffeId(text: string): SPIFFEID {
  const parts = spiffeIdParts(text)
  if (parts !== undefined) return parts
  throw new SpireApiError('SPIRE_FAILED', `${JSON.stringify(text.slice(0, 200))} is not a SPIFFE ID`)
}

/**
 * Writes a SPIFFE ID as text.
 *
 * @param parts As the API carries it.
 * @returns Such as `spiffe://example.org/web`; empty when the server sent none.
 */
export function spiffeIdText(parts: SPIFFEID | undefined): string {
  return parts === undefined ? '' : `spiffe://${parts.trustDomain}${parts.path}`
}
