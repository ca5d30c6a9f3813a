/**
 * `towerkeep restore`.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { attestedWithin, liftStep } from '../act/ban.ts'
import { refusedBecause, requireHost, requireSources } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import type { RESTORE } from '../flags/acting.ts'
import { type FleetHost, gatherFleet } from '../fleet.ts'
import { decidingReason } from '../judgement.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { type JournalEntry, readJournal } from '../plan/journal.ts'
import { runPlan } from '../plan/run.ts'
import { DoneButLook, type Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { WATCH_DEFAULTS } from '../site/watch-conf.ts'
import { openSources } from '../sources/open.ts'
import { lastBan } from '../watch/audit.ts'

/**
 * Lets a host come back that was banned, once Keylime vouches for it anew.
 *
 * @param context Flags, and the host.
 * @returns The report.
 * @throws {OperatorError} `TK-ACT-REFUSED`, exit 3: the gate refuses it, or its last success is older than the ban.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof RESTORE>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['spire', 'verifier'])
  const host = requireHost(fleet, words[0])
  if (host.spire?.banned === true) {
    const { audit_file: auditFile } = sources.site.towerkeep.values.watch ?? WATCH_DEFAULTS
    const bans = [bannedAt(readJournal(flags.journal), host), bannedByWatch(auditFile, host)]
    requireProvedSince(host, bans.filter((at) => at !== undefined).toSorted((a, b) => b - a)[0])
  }
  const { spire } = sources
  const plan: Plan = {
    verb: 'restore',
    subject: host.name,
    onFailure: 'keep',
    steps: spire.map((connection, at) => ({
      ...liftStep(connection, host.spiffeId),
      ...(at === spire.length - 1 && {
        verify: async () => {
          if (await attestedWithin(spire, host.spiffeId, { withinMs: flags.within, signal })) return
          throw new DoneButLook(
            `the ban is lifted, and ${host.name} has not attested within ${flags.within / 1000} s: start its SPIRE agent; where the authority was rotated meanwhile, give it the bundle of the day (towerkeep doctor bundle, on the host)`,
          )
        },
      }),
    })),
    undoCommand: `towerkeep revoke ${host.name}`,
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  return changeReport(plan, outcome, { summary: { host: host.name, agent: host.spiffeId } })
}

function requireProvedSince(host: FleetHost, bannedSeconds: number | undefined): void {
  const clause = host.decision === undefined ? undefined : decidingReason(host.decision)
  if (host.standing !== 'admitted') {
    throw refusedBecause(
      `${host.name} would be refused at once: ${clause === undefined ? 'no verifier vouches for it' : `${clause.message} [${clause.code}]`}; mend that first`,
    )
  }
  const last = host.record?.value.lastSuccessfulAttestation ?? 0
  if (bannedSeconds !== undefined && last <= bannedSeconds) {
    throw refusedBecause(
      `${host.name} has passed no quote since it was banned at ${new Date(bannedSeconds * 1000).toISOString()}: wait for the next one`,
    )
  }
}

// When the host was banned by a command, seconds since the epoch. A host may have changed its name since.
function bannedAt(journal: readonly JournalEntry[], { name, spiffeId }: FleetHost): number | undefined {
  const bans = journal.filter(
    ({ verb, subject, steps }) =>
      verb === 'revoke' && (subject === name || steps.some(({ facts }) => facts?.['agent'] === spiffeId)),
  )
  const at = bans.at(-1)?.at
  return at === undefined ? undefined : Math.floor(Date.parse(at) / 1000)
}

function bannedByWatch(auditFile: string, { name, agentId }: FleetHost): number | undefined {
  try {
    return lastBan(readFileSync(auditFile, 'utf8'), agentId)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw refusedBecause(
      `when watch banned ${name} cannot be found out: ${auditFile} cannot be read (${code}); restore it as a user who may`,
    )
  }
}
