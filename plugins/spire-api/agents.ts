/**
 * The agents a SPIRE server has attested: read, evict, ban.
 *
 * @module
 */
import type { SpireCallOptions, SpireConnection } from './connection.ts'
import { isSpireApiError } from './errors.ts'
import { AgentService, type ListAgentsRequest_Filter } from './gen/spire/api/server/agent/v1/agent.ts'
import type { Agent, AgentMask } from './gen/spire/api/types/agent.ts'
import type { Selector } from './gen/spire/api/types/selector.ts'
import { PAGE_SIZE, readPages } from './pages.ts'
import { requireSpiffeId, spiffeIdText } from './spiffe-ids.ts'

/** One agent. */
export interface SpireAgent {
  /** Its SPIFFE ID. */
  readonly id: string
  /** Name of the node attestor, such as `keylime` or `join_token`. */
  readonly attestationType: string
  /** Decimal; empty for a banned agent. */
  readonly serialNumber: string
  /** When its SVID ends, seconds since the epoch; 0 for a banned agent. */
  readonly expiresAt: number
  readonly banned: boolean
  /** False: once evicted it cannot come back by itself. */
  readonly canReattest: boolean
  /** Empty where the server is older than 1.14.3. */
  readonly version: string
  /** Empty unless they were asked for. */
  readonly selectors: readonly SpireSelector[]
}

/** One selector. */
export interface SpireSelector {
  /** Name of the plugin, such as `keylime`. */
  readonly type: string
  readonly value: string
}

/** Which agents to list, and how much of each. */
export interface ListAgentsOptions extends SpireCallOptions {
  /** Only those of one node attestor. */
  readonly attestationType?: string
  readonly banned?: boolean
  /** Also send the selectors: of 1,000 agents they are 2 MiB. */
  readonly withSelectors?: boolean
}

/**
 * Lists agents.
 *
 * @param connection The server.
 * @param options Filter, and whether selectors are wanted.
 * @returns All of them.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export function listAgents(
  connection: SpireConnection,
  options: ListAgentsOptions = {},
): Promise<readonly SpireAgent[]> {
  const outputMask = maskWith(options.withSelectors === true)
  return readPages(connection.name, 'agents', async (pageToken) => {
    const request = { filter: filterOf(options), outputMask, pageSize: PAGE_SIZE, pageToken }
    const page = await connection.call(AgentService.listAgents, request, '', options)
    return { items: page.agents.map(agentOf), nextPageToken: page.nextPageToken }
  })
}

/**
 * Counts the agents.
 *
 * @param connection The server.
 * @param options `signal`: the caller's.
 * @returns How many there are, banned and expired ones too.
 * @throws {SpireApiError} As {@link SpireConnection.call}.
 */
export async function countAgents(connection: SpireConnection, options: SpireCallOptions = {}): Promise<number> {
  return (await connection.call(AgentService.countAgents, { filter: undefined }, '', options)).count
}

/**
 * Reads one agent, with its selectors.
 *
 * @param connection The server.
 * @param id Its SPIFFE ID.
 * @param options `signal`: the caller's.
 * @returns The agent, or undefined when the server does not know it.
 * @throws {SpireApiError} As {@link SpireConnection.call}.
 */
export async function getAgent(
  connection: SpireConnection,
  id: string,
  options: SpireCallOptions = {},
): Promise<SpireAgent | undefined> {
  const request = { id: requireSpiffeId(id), outputMask: maskWith(true) }
  return unlessUnknown(async () => agentOf(await connection.call(AgentService.getAgent, request, id, options)))
}

/**
 * Evicts an agent: the server forgets it, and it may attest again at once.
 *
 * @param connection The server.
 * @param id Its SPIFFE ID.
 * @param options `signal`: the caller's.
 * @returns False: the server did not know it.
 * @throws {SpireApiError} As {@link SpireConnection.call}.
 */
export async function evictAgent(
  connection: SpireConnection,
  id: string,
  options: SpireCallOptions = {},
): Promise<boolean> {
  const request = { id: requireSpiffeId(id) }
  const answer = await unlessUnknown(() => connection.call(AgentService.deleteAgent, request, id, options))
  return answer !== undefined
}

/**
 * Bans an agent: the server refuses it until somebody deletes it. Banning twice is no error.
 *
 * @param connection The server.
 * @param id Its SPIFFE ID.
 * @param options `signal`: the caller's.
 * @returns False: the server did not know it, so there is nothing it could ban.
 * @throws {SpireApiError} As {@link SpireConnection.call}.
 */
export async function banAgent(
  connection: SpireConnection,
  id: string,
  options: SpireCallOptions = {},
): Promise<boolean> {
  const request = { id: requireSpiffeId(id) }
  const answer = await unlessUnknown(() => connection.call(AgentService.banAgent, request, id, options))
  return answer !== undefined
}

async function unlessUnknown<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (isSpireApiError(error, 'SPIRE_NOT_FOUND')) return undefined
    throw error
  }
}

function maskWith(selectors: boolean): AgentMask {
  return {
    attestationType: true,
    x509svidSerialNumber: true,
    x509svidExpiresAt: true,
    selectors,
    banned: true,
    canReattest: true,
    agentVersion: true,
  }
}

function filterOf({ attestationType, banned }: ListAgentsOptions): ListAgentsRequest_Filter | undefined {
  if (attestationType === undefined && banned === undefined) return undefined
  return {
    byAttestationType: attestationType ?? '',
    bySelectorMatch: undefined,
    byBanned: banned,
    byCanReattest: undefined,
    byExpiresBefore: '',
  }
}

function agentOf(agent: Agent): SpireAgent {
  return {
    id: spiffeIdText(agent.id),
    attestationType: agent.attestationType,
    serialNumber: agent.x509svidSerialNumber,
    expiresAt: Number(agent.x509svidExpiresAt),
    banned: agent.banned,
    canReattest: agent.canReattest,
    version: agent.agentVersion,
    selectors: agent.selectors.map(selectorOf),
  }
}

/**
 * Takes a selector as the API carries it.
 *
 * @param selector The message.
 * @returns The two texts.
 */
export function selectorOf({ type, value }: Selector): SpireSelector {
  return { type, value }
}
