/**
 * `towerkeep enroll apply`.
 *
 * @module
 */
import { join } from 'node:path'
import { refusedBecause } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import { applySteps, preparedFiles } from '../enroll/apply-steps.ts'
import { ekFacts, isPortFree } from '../enroll/preflight.ts'
import type { ENROLL_APPLY } from '../flags/enroll.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { readJournal } from '../plan/journal.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'

const AGENT_PORT = 9002

/**
 * Puts the prepared files in place on this node, makes its keys here, starts its agents, and says who it is.
 *
 * @param context Flags, and the folder that prepare wrote.
 * @returns The report, with the agent ID and the hash of the endorsement key for `enroll accept`.
 * @throws {OperatorError} The folder was changed, the TPM cannot be opened, or the port is taken.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof ENROLL_APPLY>): Promise<Report> {
  const from = words[0] ?? ''
  const files = preparedFiles(from)
  const ek = await ekFacts(flags['tpm-path'])
  const begun = readJournal(flags.journal).some(({ verb }) => verb === 'enroll apply')
  if (flags.start && !begun && !(await isPortFree(AGENT_PORT))) {
    throw refusedBecause(
      `port ${AGENT_PORT} is taken: a Keylime agent runs here already; stop it, or enroll another node`,
    )
  }
  if (flags.root !== '' && !flags.root.startsWith('/'))
    throw new OperatorError('TK-USAGE', '--root: expected an absolute path')
  const plan: Plan = {
    verb: 'enroll apply',
    subject: from.replace(/\/+$/, '').replace(/^.*\//, ''),
    onFailure: 'keep',
    notes: [`agent ID ${ek.agentId}, the hash of this TPM's endorsement key`],
    steps: applySteps(
      {
        from,
        root: flags.root,
        wrappedSecretId: flags['wrapped-secret-id'],
        roleId: flags['role-id'],
        start: flags.start,
        timeoutMs: flags.timeout,
        say: progress,
      },
      files,
    ),
  }
  const outcome = await runPlan(
    plan,
    runOptions(
      { ...flags, journal: flags.root === '' ? flags.journal : join(flags.root, flags.journal) },
      { progress, signal },
    ),
  )
  const next = `on the server: towerkeep enroll accept HOST --agent-id ${ek.agentId} --ek sha256:${ek.agentId} --baseline 0,4,7`
  return changeReport(plan, outcome, { summary: { agent_id: ek.agentId, ek: `sha256:${ek.agentId}` }, lines: [next] })
}
