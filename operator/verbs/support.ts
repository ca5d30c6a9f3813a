/**
 * `towerkeep support`.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { refusedBecause } from '../act/preconditions.ts'
import { runChecks } from '../checks/run-checks.ts'
import { gatherView } from '../checks/view.ts'
import type { VerbContext } from '../context.ts'
import type { SUPPORT } from '../flags/acting.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { readIfThere } from '../site/files.ts'
import type { Site } from '../site/site.ts'
import { openSources } from '../sources/open.ts'
import { statusRow } from '../status/row.ts'
import { redacted, secretsIn } from '../support/redact.ts'

/**
 * Writes one file with what somebody needs who is to help: hosts, findings, configuration without secrets.
 *
 * @param context Flags.
 * @returns The report, with the list of what is in the file.
 * @throws {OperatorError} `TK-ACT-REFUSED`: something in it has the shape of a secret.
 */
export async function run({ flags, progress, signal, build }: VerbContext<typeof SUPPORT>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const place = {
    journalFolder: flags.journal,
    certsFolder: flags.certs,
    devIdsFolder: '/etc/towerkeep/devid.d',
    timeoutMs: flags.timeout,
  }
  const view = await gatherView(sources, place, signal)
  const runs = await runChecks(view, { areas: [], prove: false, deadlineMs: flags.timeout })
  const parts: Readonly<Record<string, unknown>> = {
    'about.json': { tool: build, at: new Date().toISOString(), node: process.version, kernel: process.platform },
    'status.json': view.fleet.hosts.map((host) => statusRow(host, view.fleet, view.now)),
    'doctor.json': runs.flatMap(({ findings }) => findings),
    'journal.json': view.journal.slice(-50),
    'processes.json': sources.site.processes.map(({ program, pid, uid }) => ({ program, pid, uid })),
    ...Object.fromEntries(configFiles(sources.site).map((file) => [file, textOf(file)])),
  }
  const text = `${JSON.stringify({ schema: 'towerkeep/support/v1', files: parts }, null, 2)}\n`
  const found = secretsIn(text)
  if (found.length > 0)
    throw refusedBecause(`the file would hold ${found.join(' and ')}: nothing was written; find it with doctor secrets`)
  const names = Object.keys(parts)
  const plan: Plan = {
    verb: 'support',
    subject: flags.out,
    onFailure: 'undo',
    confirm: { word: 'yes', what: 'the word' },
    notes: names.map((name) => `in it: ${name}`),
    steps: [
      {
        id: 'write',
        title: `write ${flags.out}`,
        act: () => {
          writeFileSync(flags.out, text, { mode: 0o600 })
          return Promise.resolve({ bytes: text.length })
        },
      },
    ],
  }
  return changeReport(plan, await runPlan(plan, runOptions(flags, { progress, signal })), { summary: { parts: names } })
}

// Only files whose keys are known; no certificate, no log, no environment.
function configFiles({
  spireServer,
  spireAgent,
  verifier,
  registrar,
  keylimeAgent,
  towerkeep,
}: Site): readonly string[] {
  return [
    spireServer?.file,
    spireAgent?.file,
    ...(verifier?.files ?? []),
    ...(registrar?.files ?? []),
    ...(keylimeAgent?.files ?? []),
    towerkeep.file,
  ].filter((file) => file !== undefined)
}

function textOf(file: string): string {
  const read = readIfThere(file)
  return read !== undefined && 'text' in read ? redacted(read.text) : '(cannot be read)'
}
