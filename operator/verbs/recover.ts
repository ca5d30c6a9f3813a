/**
 * `towerkeep recover`.
 *
 * @module
 */

import { requireSources } from '../act/preconditions.ts'
import { recoverStep } from '../act/recover-step.ts'
import { recoveryOf } from '../act/recovering.ts'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { RECOVER } from '../flags/acting.ts'
import { type FleetHost, gatherFleet, hostsNamed } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { DEFAULT_BUDGET_S, retryBudgetSeconds } from '../site/retry-budget.ts'
import { openKeylimeAdmin } from '../sources/admin.ts'
import { openSources } from '../sources/open.ts'

/**
 * Has the verifier begin anew with hosts that it could not reach.
 *
 * @param context Flags, and the hosts that are asked for.
 * @returns The report; exit 3 when only hosts were found that a command must not bring back.
 * @throws {OperatorError} A source is away, or a word names no host.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof RECOVER>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['verifier'])
  const hosts = words.length === 0 ? fleet.hosts : words.flatMap((word) => named(fleet.hosts, word))
  const rules = { budgetSeconds: retryBudgetSeconds(sources.site.verifier) ?? DEFAULT_BUDGET_S, reason: flags.reason }
  const decided = hosts.map((host) => ({ host, recovery: recoveryOf(host, rules) }))
  const refused = decided.filter(({ recovery }) => recovery.kind === 'refuse')
  await using admin = openKeylimeAdmin(sources.services, flags.timeout)
  const acting = decided.filter(({ recovery }) => recovery.kind === 'reactivate').slice(0, flags.max)
  const steps = acting.map(({ host, recovery }, at) => recoverStep(host, recovery, at, admin.verifiers, flags.within))
  const plan: Plan = {
    verb: 'recover',
    subject: words.length === 0 ? 'all' : words.join(' '),
    onFailure: 'keep',
    notes: refused.map(
      ({ host, recovery }) => `left alone: ${host.name} ${recovery.kind === 'refuse' ? recovery.why : ''}`,
    ),
    steps,
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  const advice = (plan.notes ?? []).map((note) => note.replace('left alone: ', ''))
  const report = changeReport(plan, outcome, {
    summary: { recovered: steps.length, refused: refused.length, advice },
    lines: advice,
  })
  if (refused.length === 0 || outcome.exit !== EXIT.ok) return report
  return { ...report, exit: steps.length === 0 ? EXIT.unknown : EXIT.warning }
}

function named(hosts: readonly FleetHost[], word: string): readonly FleetHost[] {
  const found = hostsNamed(hosts, word)
  if (found.length === 0)
    throw new OperatorError('TK-ACT-HOST', `${word} is no host; known are: ${hosts.map(({ name }) => name).join(', ')}`)
  return found
}
