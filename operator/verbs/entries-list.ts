/**
 * `towerkeep entries list`.
 *
 * @module
 */
import { listEntries } from '@tower-of-omens/spire-api'
import { requireHost, requireSources } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { entriesOf, selectorText } from '../explain/entries.ts'
import type { ENTRIES_LIST } from '../flags/acting.ts'
import { gatherFleet } from '../fleet.ts'
import { tableLines } from '../render/table.ts'
import type { Report } from '../report.ts'
import { orphanEntries, serverIdOf, withSelectors } from '../rubbish/orphans.ts'
import { openSources } from '../sources/open.ts'

/**
 * Lists entries with the hosts that they reach.
 *
 * @param context Flags, and a host.
 * @returns One item an entry.
 * @throws {OperatorError} The SPIRE server is away, or a word names no host.
 */
export async function run({ flags, words, signal }: VerbContext<typeof ENTRIES_LIST>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['spire'])
  const [server] = sources.spire
  const entries = server === undefined ? [] : await listEntries(server, { signal })
  const agents = server === undefined ? [] : await withSelectors(server, fleet.spireAgents, signal)
  const orphans = new Set(orphanEntries({ fleet, trustDomain: sources.trustDomain }, entries).map(({ id }) => id))
  const host = words[0] === undefined ? undefined : requireHost(fleet, words[0])
  const reach = new Map(
    agents.map((agent) => [
      agent.id,
      entriesOf(agent, entries, serverIdOf(sources.trustDomain)).matching.map(({ id }) => id),
    ]),
  )
  const items = entries
    .filter(({ id }) => host === undefined || reach.get(host.spiffeId)?.includes(id) === true)
    .map((entry) => ({
      id: entry.id,
      spiffe_id: entry.spiffeId,
      parent_id: entry.parentId,
      selectors: entry.selectors.map(selectorText),
      hosts: fleet.hosts
        .filter(({ spiffeId }) => reach.get(spiffeId)?.includes(entry.id) === true)
        .map(({ name }) => name),
      orphan: orphans.has(entry.id),
    }))
  const rows = items.map((item) => [
    item.spiffe_id,
    item.orphan ? `${item.parent_id} (no agent)` : item.parent_id,
    item.selectors.join(' '),
    item.hosts.join(' ') || '-',
  ])
  return {
    schema: 'towerkeep/entries-list/v1',
    exit: EXIT.ok,
    summary: { entries: items.length, orphans: items.filter(({ orphan }) => orphan).length },
    items,
    findings: [],
    unknown: [],
    text: () => `${tableLines([['SPIFFE ID', 'PARENT', 'SELECTORS', 'HOSTS'], ...rows]).join('\n')}\n`,
  }
}
