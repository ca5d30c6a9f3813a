/**
 * `towerkeep doctor`.
 *
 * @module
 */
import { AREAS, type Area } from '../checks/check.ts'
import { runChecks } from '../checks/run-checks.ts'
import { gatherView } from '../checks/view.ts'
import type { VerbContext } from '../context.ts'
import { checkList, doctorReport, mergedFindings } from '../doctor-report.ts'
import type { DOCTOR } from '../flags/diagnosing.ts'
import { OperatorError } from '../operator-error.ts'
import type { Report } from '../report.ts'
import { openSources } from '../sources/open.ts'

/**
 * Checks this machine and what it can reach.
 *
 * @param context Flags, and the areas that are asked for.
 * @returns The report; it never changes anything.
 * @throws {OperatorError} Our own configuration is wrong, a word is no area, or a file to merge is no report.
 */
export async function run({ flags, words, signal }: VerbContext<typeof DOCTOR>): Promise<Report> {
  if (flags.list) return checkList()
  const areas = words.map(areaOf)
  const began = performance.now()
  const merged = mergedFindings(flags.merge)
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const place = {
    journalFolder: flags.journal,
    certsFolder: flags.certs,
    devIdsFolder: flags.devids,
    timeoutMs: flags.timeout,
  }
  const view = await gatherView(sources, place, signal)
  const runs = await runChecks(view, { areas, prove: flags.prove, deadlineMs: flags.timeout })
  return doctorReport(runs, merged, { failOn: flags['fail-on'], seconds: (performance.now() - began) / 1000 })
}

function areaOf(word: string): Area {
  const found = AREAS.find((area) => area === word)
  if (found === undefined) throw new OperatorError('TK-USAGE', `${word} is no area: there are ${AREAS.join(', ')}`)
  return found
}
