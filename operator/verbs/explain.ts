/**
 * `towerkeep explain`.
 *
 * @module
 */
import { getAgent, listEntries } from '@tower-of-omens/spire-api'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { chainOf } from '../explain/chain.ts'
import { explainCode, explainLine } from '../explain/codes.ts'
import { type AgentEntries, entriesOf } from '../explain/entries.ts'
import { chainReport, codeReport, type ExplainedHost } from '../explain/report.ts'
import type { EXPLAIN } from '../flags/reading.ts'
import { type Fleet, type FleetHost, failedSources, gatherFleet, hostsNamed } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import type { Report } from '../report.ts'
import { type OpenSources, openSources } from '../sources/open.ts'
import { settled, valueOf } from '../sources/state.ts'
import { hostFindings, sourceFindings } from '../status/findings.ts'
import { statusRow } from '../status/row.ts'

/**
 * Says why a host has an identity or none, or what a code means.
 *
 * @param context Flags; the first word is a host, an ID or a code.
 * @returns The report.
 * @throws {OperatorError} `TK-USAGE`: the word is no code and names no host.
 */
export async function run({ flags, words, signal }: VerbContext<typeof EXPLAIN>): Promise<Report> {
  const word = words.join(' ')
  const code = explainCode(word)
  if (code !== undefined) return codeReport(code)
  // A name of one word is a host's, however much it looks like part of a message.
  const line = word.includes(' ') ? explainLine(word) : undefined
  if (line !== undefined)
    return codeReport({ code: word, meaning: line, cause: 'see the meaning', next: 'see the meaning' })
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const now = Date.now()
  const fleet = await gatherFleet(sources, signal, now)
  const hosts = await chosen(sources, fleet, word, signal)
  const explained = await Promise.all(hosts.map((host) => explainHost(sources, fleet, host, signal, now)))
  return chainReport(explained, {
    failOn: flags['fail-on'],
    unknown: failedSources(fleet),
    findings: sourceFindings(fleet),
  })
}

// The SPIFFE ID of a workload means the hosts under which an entry for it stands.
async function chosen(
  sources: OpenSources,
  fleet: Fleet,
  word: string,
  signal: AbortSignal,
): Promise<readonly FleetHost[]> {
  const named = hostsNamed(fleet.hosts, word)
  if (named.length > 0) return named
  if (word.startsWith('spiffe://')) {
    const entries = (await Promise.all(sources.spire.map((one) => listEntries(one, { signal })))).flat()
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
  { spire, trustDomain }: OpenSources,
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
