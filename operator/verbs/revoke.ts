/**
 * `towerkeep revoke`.
 *
 * @module
 */
import { banStep } from '../act/ban.ts'
import { breakGlassSteps } from '../act/break-glass.ts'
import { refusedBecause, requireHost, requireSources } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import type { REVOKE } from '../flags/acting.ts'
import { type Fleet, gatherFleet } from '../fleet.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { openSources } from '../sources/open.ts'

/**
 * Takes a host's identity away, whatever Keylime says of it.
 *
 * @param context Flags, and the host.
 * @returns The report.
 * @throws {OperatorError} The host is not known, or a source is away.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof REVOKE>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['spire'])
  const host = requireHost(fleet, words[0])
  const glass = flags['break-glass']
  const servers = sources.spire
  if (servers.length > 1 && host.spire === undefined && !glass)
    throw refusedBecause(`no SPIRE server knows ${host.spiffeId}: it has no identity to take away`)
  const plan: Plan = {
    verb: 'revoke',
    subject: host.name,
    // A ban that stands is worth keeping when a later step fails.
    onFailure: 'keep',
    confirm: glass
      ? { word: sources.trustDomain, what: "the trust domain's name" }
      : { word: host.name, what: "the host's name" },
    notes: [`reason: ${flags.reason}`, ...(glass ? glassNotes(fleet) : [])],
    steps: [
      ...servers.map((connection) => banStep(connection, host.spiffeId, servers.length === 1 && !glass)),
      ...(glass ? breakGlassSteps(servers, flags.after) : []),
    ],
    undoCommand: `towerkeep restore ${host.name}`,
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  return changeReport(plan, outcome, {
    summary: { host: host.name, agent: host.spiffeId, reason: flags.reason, break_glass: glass },
  })
}

function glassNotes({ spireAgents }: Fleet): readonly string[] {
  const alive = spireAgents.filter(({ banned }) => !banned)
  const stuck = alive.filter(({ canReattest }) => !canReattest)
  return [
    `hits all ${alive.length} agents and every SVID of the trust domain; connections that stand go on`,
    'a host that is cut off or away meanwhile needs the bundle of the day before it can come back',
    ...(stuck.length === 0
      ? []
      : [
          `${stuck.length} agents cannot attest again by themselves: ${stuck
            .map(({ id }) => id)
            .slice(0, 5)
            .join(', ')}`,
        ]),
  ]
}
