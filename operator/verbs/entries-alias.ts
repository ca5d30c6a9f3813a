/**
 * `towerkeep entries alias`.
 *
 * @module
 */
import { spiffeIdParts } from '@tower-of-omens/spire-api'
import { BLANK_ENTRY, createStep, parseSelector } from '../act/entries.ts'
import type { VerbContext } from '../context.ts'
import type { ENTRIES_ALIAS } from '../flags/acting.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { serverIdOf } from '../rubbish/orphans.ts'
import { openSources } from '../sources/open.ts'

/**
 * Makes a node alias: entries under it reach every agent with its selectors, whatever ID the agent has.
 *
 * @param context Flags, and the alias's SPIFFE ID.
 * @returns The report.
 * @throws {OperatorError} `TK-USAGE`: no SPIFFE ID, or a selector without a colon.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof ENTRIES_ALIAS>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const spiffeId = words[0] ?? ''
  if (spiffeIdParts(spiffeId) === undefined) throw new OperatorError('TK-USAGE', `${spiffeId} is not a SPIFFE ID`)
  if (flags.selector.length === 0)
    throw new OperatorError('TK-USAGE', 'name at least one --selector, such as keylime:ek:sha256-of-the-ek')
  const [server] = sources.spire
  if (server === undefined) throw new OperatorError('TK-CONF-ABSENT', 'no SPIRE server is known')
  const spec = {
    ...BLANK_ENTRY,
    spiffeId,
    parentId: serverIdOf(sources.trustDomain),
    selectors: flags.selector.map(parseSelector),
  }
  const plan: Plan = {
    verb: 'entries alias',
    subject: spiffeId,
    onFailure: 'undo',
    steps: [createStep(server, spec, `make the alias ${spiffeId} of agents with ${flags.selector.join(' ')}`)],
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  return changeReport(plan, outcome, { summary: { alias: spiffeId } })
}
