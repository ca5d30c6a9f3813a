/**
 * `towerkeep entries reparent`.
 *
 * @module
 */
import { listEntries, spiffeIdParts } from '@tower-of-omens/spire-api'
import { reparentStep } from '../act/entries.ts'
import { requireHost, requireSources } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import type { ENTRIES_REPARENT } from '../flags/acting.ts'
import { agentPrefix, type Fleet, gatherFleet, hostsNamed } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { openSources } from '../sources/open.ts'

/**
 * Moves the entries of a host's old ID to its present one.
 *
 * @param context Flags, the old parent and the host.
 * @returns The report.
 * @throws {OperatorError} A word is no agent, or the SPIRE server is away.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof ENTRIES_REPARENT>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['spire'])
  const [server] = sources.spire
  if (server === undefined) throw new OperatorError('TK-CONF-ABSENT', 'no SPIRE server is known')
  const from = parentOf(words[0] ?? '', agentPrefix(sources))
  const { to, notes } = nextParent(fleet, words[1])
  const already = await listEntries(server, { parentId: to, signal })
  const plan: Plan = {
    verb: 'entries reparent',
    subject: from,
    onFailure: 'undo',
    notes,
    steps: [reparentStep(server, from, to)],
    // The reverse would move what was there before, too.
    ...(already.length === 0 && { undoCommand: `towerkeep entries reparent ${to} ${from}` }),
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  return changeReport(plan, outcome, { summary: { from, to } })
}

// An ID that is written out may be nobody's now: that is how a move to a new ID is taken back.
function nextParent(fleet: Fleet, word: string | undefined): { to: string; notes: readonly string[] } {
  if (word?.startsWith('spiffe://') !== true || hostsNamed(fleet.hosts, word).length > 0)
    return { to: requireHost(fleet, word).spiffeId, notes: [] }
  if (spiffeIdParts(word) === undefined) throw new OperatorError('TK-USAGE', `${word} is no SPIFFE ID`)
  return { to: word, notes: [`no agent is known under ${word}: entries there reach nobody until one attests`] }
}

// The old agent may be gone everywhere, so its ID is taken as it is written.
function parentOf(word: string, prefix: string): string {
  const id = word.startsWith('spiffe://') ? word : `${prefix}${word}`
  if (spiffeIdParts(id) === undefined)
    throw new OperatorError('TK-USAGE', `${word} is neither a SPIFFE ID nor an agent ID`)
  return id
}
