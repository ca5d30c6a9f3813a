/**
 * Explaining hosts from a look at the fleet: which are meant, and what SPIRE has of each besides.
 *
 * @module
 */
import { getAgent, listEntries } from '@tower-of-omens/spire-api'
import { EXIT } from '../exit-codes.ts'
import { type Fleet, type FleetHost, type FleetSources, failedSources, hostsNamed } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import type { Report } from '../report.ts'
import { settled, valueOf } from '../sources/state.ts'
import { hostFindings, sourceFindings } from '../status/findings.ts'
import { statusRow } from '../status/row.ts'
import { chainOf } from './chain.ts'
import { type AgentEntries, entriesOf } from './entries.ts'
import { chainReport, type ExplainedHost } from './report.ts'

/** What is asked. */
export interface ExplainQuestion {
  /** Host name, agent ID, or SPIFFE ID of an agent or a workload. */
  readonly word: string
  readonly failOn: 'warn' | 'crit'
  readonly signal: AbortSignal
  /** Milliseconds since the epoch, when the fleet was looked at. */
  readonly now: number
}

/** Who is asked. */
export type ExplainSources = Pick<FleetSources, 'spire' | 'trustDomain'>

/**
 * Explains the hosts that a word means.
 *
 * @param sources SPIRE servers and trust domain.
 * @param fleet Everything at one moment.
 * @param question What is asked.
 * @returns The report.
 * @throws {OperatorError} `TK-USAGE`: the word names no host; exit 3 when not everything could be asked, else 64.
 */
export async function explainHosts(
  sources: ExplainSources,
  fleet: Fleet,
  { word, failOn, signal, now }: ExplainQuestion,
): Promise<Report> {
  const hosts = await chosen(sources, fleet, word, signal)
  const explained = await Promise.all(hosts.map((host) => explainHost(sources, fleet, host, signal, now)))
  return chainReport(explained, { failOn, unknown: failedSources(fleet), findings: sourceFindings(fleet) })
}

// The SPIFFE ID of a workload means the hosts under which an entry for it stands.
async function chosen(
  { spire }: ExplainSources,
  fleet: Fleet,
  word: string,
  signal: AbortSignal,
): Promise<readonly FleetHost[]> {
  const named = hostsNamed(fleet.hosts, word)
  if (named.length > 0) return named
  if (word.startsWith('spiffe://')) {
    const entries = (await Promise.all(spire.map((one) => listEntries(one, { signal })))).flat()
    const parents = new Set(entries.filter(({ spiffeId }) => spiffeId === word).map(({ parentId }) => parentId))
    const hosts = fleet.hosts.filter(({ spiffeId }) => parents.has(spiffeId))
    if (hosts.length > 0) return hosts
  }
  const failed = failedSources(fleet)
  const why =
    failed.length === 0 ? '' : `; not everything could be asked: ${failed.map((source) => source.why).join('; ')}`
  const names = fleet.hosts.map(({ name }) => name).slice(0, 10)
  throw new OperatorError(
    'TK-USAGE',
    `${word} is no code and names no host: known are ${names.join(', ') || 'none'}${why}`,
    { exit: failed.length === 0 ? EXIT.usage : EXIT.unknown },
  )
}

async function explainHost(
  { spire, trustDomain }: ExplainSources,
  fleet: Fleet,
  host: FleetHost,
  signal: AbortSignal,
  now: number,
): Promise<ExplainedHost> {
  const [first] = spire
  const agent = first === undefined ? undefined : valueOf(await settled(getAgent(first, host.spiffeId, { signal })))
  let entries: AgentEntries | undefined
  if (agent !== undefined && first !== undefined) {
    const all = valueOf(await settled(listEntries(first, { signal })))
    if (all !== undefined) entries = entriesOf(agent, all, `spiffe://${trustDomain}/spire/server`)
  }
  const row = statusRow(host, fleet, now)
  const chain = chainOf({ host, row, failed: fleet.failed, agent, entries, now })
  return { row, chain, findings: hostFindings(row, host) }
}
