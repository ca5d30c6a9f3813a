/**
 * `towerkeep gc`.
 *
 * @module
 */
import { listEntries, type SpireEntry } from '@tower-of-omens/spire-api'
import { refusedBecause, requireHost, requireSources } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { GC } from '../flags/acting.ts'
import { type Fleet, type FleetHost, gatherFleet } from '../fleet.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import { tableLines } from '../render/table.ts'
import type { Report } from '../report.ts'
import { deleteStep, exported } from '../rubbish/delete.ts'
import { entryRubbish, RUBBISH_KINDS, type Rubbish, type RubbishPlace, rubbishIn } from '../rubbish/kinds.ts'
import { withSelectors } from '../rubbish/orphans.ts'
import { undoSteps } from '../rubbish/undo.ts'
import { readUndo, writeUndo } from '../rubbish/undo-file.ts'
import { openKeylimeAdmin } from '../sources/admin.ts'
import { type OpenSources, openSources } from '../sources/open.ts'

type Context = VerbContext<typeof GC>

/**
 * Lists what is left over of hosts that went away, and deletes it when told to.
 *
 * @param context Flags, and a host that is to go whatever it is.
 * @returns The report: without --delete exit 1 when something was found.
 * @throws {OperatorError} A source is away (69), too much would go (3).
 */
export async function run(context: Context): Promise<Report> {
  const { flags, words, signal } = context
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  if (flags.undo !== undefined) return await undo(context, sources, flags.undo)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['registrar', 'verifier', 'spire'])
  const [server] = sources.spire
  const entries = server === undefined ? [] : await listEntries(server, { signal })
  const agents = server === undefined ? [] : await withSelectors(server, fleet.spireAgents, signal)
  const found =
    words[0] === undefined
      ? rubbishIn({ fleet, agents, entries, trustDomain: sources.trustDomain, now: Date.now() })
      : wholeHost(requireHost(fleet, words[0]), entries)
  if (!flags.delete) return listing(found)
  if (words[0] === undefined) requireFew(found, fleet, entries.length)
  await using keylime = openKeylimeAdmin(sources.services, flags.timeout)
  const deleting = { hosts: fleet.hosts, entries, keylime, spire: sources.spire }
  const file =
    flags['dry-run'] || found.length === 0
      ? undefined
      : writeUndo(flags.journal, await exported(found, deleting, signal))
  const plan: Plan = {
    verb: 'gc',
    subject: words[0] ?? 'all',
    onFailure: 'keep',
    confirm: {
      word: words[0] ?? String(found.length),
      what: words[0] === undefined ? 'how many records go' : "the host's name",
    },
    steps: found.map((one) => deleteStep(one, deleting)),
    ...(file !== undefined && { undoCommand: `towerkeep gc --undo ${file}` }),
  }
  const outcome = await runPlan(plan, runOptions(flags, context))
  return changeReport(plan, outcome, { summary: { found: found.length } })
}

async function undo(context: Context, { services, spire }: OpenSources, file: string): Promise<Report> {
  const content = readUndo(file)
  await using keylime = openKeylimeAdmin(services, context.flags.timeout)
  const plan: Plan = {
    verb: 'gc',
    subject: 'undo',
    onFailure: 'keep',
    steps: undoSteps(content, { keylime, spire }),
    notes: [
      `${content.registrations.length} registrations and ${content.agents.length} SPIRE agents come back by themselves when they start`,
    ],
  }
  return changeReport(plan, await runPlan(plan, runOptions(context.flags, context)))
}

// Everything of one host, healthy or not: it is to leave the tower. Its entries go after it: they are what `gc` finds
// when that is cut off.
function wholeHost(host: FleetHost, entries: readonly SpireEntry[]): readonly Rubbish[] {
  const places: readonly RubbishPlace[] = [
    ...(host.spire === undefined ? [] : (['spire-agent'] as const)),
    ...(host.record === undefined && host.broken === undefined ? [] : (['verifier'] as const)),
    ...(host.registered === undefined && !host.isRegistrationBroken ? [] : (['registrar'] as const)),
  ]
  return [
    { kind: 'registered-only', id: host.agentId, name: host.name, places },
    ...entries.filter(({ parentId }) => parentId === host.spiffeId).map((entry) => entryRubbish('orphan-entry', entry)),
  ]
}

// More than a third of everything is no rubbish but a mistake, of ours or of a source.
function requireFew(found: readonly Rubbish[], fleet: Fleet, entries: number): void {
  const all = fleet.hosts.length + entries
  if (found.length * 3 <= all || found.length <= 3) return
  throw refusedBecause(
    `${found.length} of ${all} hosts and entries would go, more than a third: look at the list, then name hosts one by one`,
  )
}

function listing(found: readonly Rubbish[]): Report {
  const rows = found.map(({ kind, name, id, places }) => [kind, name, id, places.join(' ')])
  const kinds = [...new Set(found.map(({ kind }) => kind))].map((kind) => `${kind}: ${RUBBISH_KINDS[kind]}`)
  const text =
    found.length === 0
      ? 'nothing is left over\n'
      : `${[...tableLines([['KIND', 'NAME', 'ID', 'WHERE'], ...rows]), '', ...kinds].join('\n')}\n`
  return {
    schema: 'towerkeep/gc/v1',
    exit: found.length === 0 ? EXIT.ok : EXIT.warning,
    summary: { subject: 'all', outcome: 'dry-run', found: found.length, messages: [] },
    items: found.map(({ kind, name, id, places }) => ({
      id,
      title: `${name}: ${kind}`,
      state: 'planned',
      facts: { kind, name, places: places.join(' ') },
    })),
    findings: [],
    unknown: [],
    text: () => text,
  }
}
