/**
 * A SPIRE server's API over its Unix socket.
 *
 * @module
 */
export { groupName, userName } from './account-names.ts'
export {
  banAgent,
  countAgents,
  evictAgent,
  getAgent,
  type ListAgentsOptions,
  listAgents,
  type SpireAgent,
  type SpireSelector,
} from './agents.ts'
export { type BundleAuthority, getBundle, type SpireBundle } from './bundle.ts'
export {
  DEFAULT_TIMEOUT_MS,
  type SpireCallOptions,
  type SpireCallSeen,
  SpireConnection,
  type SpireConnectionOptions,
} from './connection.ts'
export {
  createEntries,
  deleteEntries,
  type EntryResult,
  type EntrySpec,
  listEntries,
  reparentEntries,
  type SpireEntry,
} from './entries.ts'
export { isSpireApiError, SpireApiError, type SpireApiErrorCode } from './errors.ts'
export {
  type Authority,
  type AuthorityStates,
  activateAuthority,
  authorityStates,
  prepareAuthority,
  revokeAuthority,
  taintAuthority,
} from './local-authority.ts'
export { isServing, type SpireServerInfo, serverInfo } from './server-info.ts'
export { spiffeIdParts } from './spiffe-ids.ts'
