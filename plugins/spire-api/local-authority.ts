/**
 * The X.509 authority of one SPIRE server, and its rotation: prepare, activate, taint, revoke.
 *
 * @module
 */
import type { SpireCallOptions, SpireConnection } from './connection.ts'
import { SpireApiError } from './errors.ts'
import { type AuthorityState, LocalAuthorityService } from './gen/spire/api/server/localauthority/v1/localauthority.ts'

/** One authority. */
export interface Authority {
  /** Subject key ID, hex. */
  readonly id: string
  /** Seconds since the epoch. */
  readonly expiresAt: number
  /** Subject key ID of the upstream authority; empty when none rules. */
  readonly upstreamId: string
}

/** The authorities that a server knows. */
export interface AuthorityStates {
  readonly active?: Authority
  readonly prepared?: Authority
  readonly old?: Authority
}

/**
 * Reads which authorities the server has.
 *
 * @param connection The server.
 * @param options `signal`: the caller's.
 * @returns Those there are.
 * @throws {SpireApiError} As {@link SpireConnection.call}.
 */
export async function authorityStates(
  connection: SpireConnection,
  options: SpireCallOptions = {},
): Promise<AuthorityStates> {
  const answer = await connection.call(LocalAuthorityService.getX509AuthorityState, {}, '', options)
  return {
    ...(answer.active && { active: authorityOf(answer.active) }),
    ...(answer.prepared && { prepared: authorityOf(answer.prepared) }),
    ...(answer.old && { old: authorityOf(answer.old) }),
  }
}

/**
 * Makes the next authority and publishes it in the bundle.
 *
 * @param connection The server.
 * @param options `signal`: the caller's.
 * @returns The authority.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export async function prepareAuthority(
  connection: SpireConnection,
  options: SpireCallOptions = {},
): Promise<Authority> {
  const answer = await connection.call(LocalAuthorityService.prepareX509Authority, {}, '', options)
  return required(connection, answer.preparedAuthority)
}

/**
 * Signs with the prepared authority from now on.
 *
 * @param connection The server.
 * @param authorityId The prepared one.
 * @param options `signal`: the caller's.
 * @returns The authority.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export async function activateAuthority(
  connection: SpireConnection,
  authorityId: string,
  options: SpireCallOptions = {},
): Promise<Authority> {
  const method = LocalAuthorityService.activateX509Authority
  const answer = await connection.call(method, { authorityId }, `authority ${authorityId}`, options)
  return required(connection, answer.activatedAuthority)
}

/**
 * Makes every agent leave the old authority.
 *
 * @param connection The server.
 * @param authorityId The old one.
 * @param options `signal`: the caller's.
 * @returns The authority.
 * @throws {SpireApiError} `SPIRE_PRECONDITION`: an upstream authority rules. Others as {@link SpireConnection.call};
 *   `SPIRE_BAD_ANSWER`.
 */
export async function taintAuthority(
  connection: SpireConnection,
  authorityId: string,
  options: SpireCallOptions = {},
): Promise<Authority> {
  const method = LocalAuthorityService.taintX509Authority
  const answer = await connection.call(method, { authorityId }, `authority ${authorityId}`, options)
  return required(connection, answer.taintedAuthority)
}

/**
 * Takes the tainted authority out of the bundle: what it signed is refused from then on.
 *
 * @param connection The server.
 * @param authorityId The tainted one.
 * @param options `signal`: the caller's.
 * @returns The authority.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export async function revokeAuthority(
  connection: SpireConnection,
  authorityId: string,
  options: SpireCallOptions = {},
): Promise<Authority> {
  const method = LocalAuthorityService.revokeX509Authority
  const answer = await connection.call(method, { authorityId }, `authority ${authorityId}`, options)
  return required(connection, answer.revokedAuthority)
}

function required(connection: SpireConnection, state: AuthorityState | undefined): Authority {
  if (state !== undefined) return authorityOf(state)
  throw new SpireApiError('SPIRE_BAD_ANSWER', `${connection.name}: the answer names no authority`)
}

function authorityOf(state: AuthorityState): Authority {
  return {
    id: state.authorityId,
    expiresAt: Number(state.expiresAt),
    upstreamId: state.upstreamAuthoritySubjectKeyId,
  }
}
