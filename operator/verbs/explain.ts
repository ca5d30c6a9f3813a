/**
 * `towerkeep explain`.
 *
 * @module
 */
import type { VerbContext } from '../context.ts'
import { explainCode, explainLine } from '../explain/codes.ts'
import { explainHosts } from '../explain/explaining.ts'
import { codeReport, reportOfExplained } from '../explain/report.ts'
import type { EXPLAIN } from '../flags/reading.ts'
import { gatherFleet } from '../fleet.ts'
import type { Report } from '../report.ts'
import { askDaemon, readSocketOf } from '../sources/daemon.ts'
import { openSources } from '../sources/open.ts'

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
  const failOn = flags['fail-on']
  const query = new URLSearchParams({ word, fail_on: failOn })
  const document = await askDaemon(readSocketOf(sources.site), `/explain?${query.toString()}`)
  const fromDaemon = document === undefined ? undefined : reportOfExplained(document)
  if (fromDaemon !== undefined) return fromDaemon
  const now = Date.now()
  const fleet = await gatherFleet(sources, signal, now)
  return await explainHosts(sources, fleet, { word, failOn, signal, now })
}
