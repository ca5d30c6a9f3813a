/**
 * `towerkeep recover`.
 *
 * @module
 */

import { requireSources } from '../act/preconditions.ts'
import { type Recovery, recoveryOf } from '../act/recovering.ts'
import { until } from '../act/waiting.ts'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { RECOVER } from '../flags/acting.ts'
import { type FleetHost, gatherFleet, hostsNamed } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import { DoneButLook, type Plan, type Step } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { DEFAULT_BUDGET_S, retryBudgetSeconds } from '../site/retry-budget.ts'
import { openKeylimeAdmin, type VerifierPair } from '../sources/admin.ts'
import { openSources } from '../sources/open.ts'

/** Reactivations begin this long apart, so that a whole fleet does not ask at once. */
const APART_MS = 50

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
  const steps = acting.map(({ host, recovery }, at) => stepOf(host, recovery, at, admin.verifiers, flags.within))
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

function stepOf(
  host: FleetHost,
  recovery: Recovery,
  at: number,
  verifiers: readonly VerifierPair[],
  withinMs: number,
): Step {
  const { agentId, name, record } = host
  const verifier = verifiers.find(({ reader }) => reader.name === record?.verifier) ?? verifiers[0]
  const before = record?.value.lastSuccessfulAttestation ?? 0
  return {
    id: `reactivate-${agentId}`,
    title: `have the verifier begin anew with ${name} (${agentId})`,
    act: async (signal) => {
      if (at > 0) await new Promise((resolve) => setTimeout(resolve, APART_MS))
      await verifier?.admin.reactivate(agentId, { signal })
      const away = recovery.kind === 'reactivate' ? recovery.awaySeconds : null
      return { host: name, away_seconds: away }
    },
    verify: async (signal) => {
      const passed = await until(
        async () => {
          const now = await verifier?.reader.getAgent(agentId, { signal })
          const passes = now?.operationalState === 3 || now?.operationalState === 5
          return passes && (now.lastSuccessfulAttestation ?? 0) > before ? true : undefined
        },
        { withinMs, signal },
      )
      if (passed !== true)
        throw new DoneButLook(`${name}: no new success within ${withinMs / 1000} s; towerkeep explain ${name}`)
    },
  }
}
