/**
 * Registration entries that reach no agent.
 *
 * @module
 */
import { getAgent, type SpireAgent, type SpireConnection, type SpireEntry } from '@tower-of-omens/spire-api'
import { entriesOf } from '../explain/entries.ts'
import type { Fleet } from '../fleet.ts'

/** What decides whether an entry reaches somebody. */
export interface OrphanFacts {
  readonly fleet: Pick<Fleet, 'hosts' | 'spireAgents'>
  readonly trustDomain: string
}

/**
 * Names the SPIRE server, the parent of aliases.
 *
 * @param trustDomain Its trust domain.
 * @returns Its SPIFFE ID.
 */
export function serverIdOf(trustDomain: string): string {
  return `spiffe://${trustDomain}/spire/server`
}

/**
 * Finds the entries under a parent that is neither agent nor alias, and of no host that Keylime knows.
 *
 * @param facts Agents and hosts.
 * @param entries All entries.
 * @returns The orphans; aliases that nobody matches are not among them.
 */
export function orphanEntries(
  { fleet, trustDomain }: OrphanFacts,
  entries: readonly SpireEntry[],
): readonly SpireEntry[] {
  const server = serverIdOf(trustDomain)
  const parents = new Set([
    server,
    ...fleet.spireAgents.map(({ id }) => id),
    // Entries may be made before the host attests for the first time.
    ...fleet.hosts
      .filter(({ record, registered }) => record !== undefined || registered !== undefined)
      .map(({ spiffeId }) => spiffeId),
    ...entries.filter(({ parentId }) => parentId === server).map(({ spiffeId }) => spiffeId),
  ])
  return entries.filter(({ parentId }) => !parents.has(parentId))
}

/**
 * Finds the aliases that no agent matches.
 *
 * @param agents All agents, with their selectors.
 * @param entries All entries.
 * @param trustDomain The server's.
 * @returns The alias entries.
 */
export function unmatchedAliases(
  agents: readonly SpireAgent[],
  entries: readonly SpireEntry[],
  trustDomain: string,
): readonly SpireEntry[] {
  const server = serverIdOf(trustDomain)
  const matched = new Set(agents.flatMap((agent) => entriesOf(agent, entries, server).aliases))
  return entries.filter(({ parentId, spiffeId }) => parentId === server && !matched.has(spiffeId))
}

/**
 * Reads agents again with their selectors, which lists leave out.
 *
 * @param connection The SPIRE server.
 * @param agents Which.
 * @param signal The caller's.
 * @returns Those that are still there.
 * @throws {SpireApiError} As its calls.
 */
export async function withSelectors(
  connection: SpireConnection,
  agents: readonly SpireAgent[],
  signal: AbortSignal,
): Promise<readonly SpireAgent[]> {
  const read: SpireAgent[] = []
  for (const { id } of agents) {
    const agent = await getAgent(connection, id, { signal })
    if (agent !== undefined) read.push(agent)
  }
  return read
}
