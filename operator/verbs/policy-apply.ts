/**
 * `towerkeep policy apply`.
 *
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { readAsked } from '../../server-attestor/config.ts'
import { refusedBecause } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import type { POLICY_APPLY } from '../flags/policy.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { discoverSite } from '../site/site.ts'

/**
 * Puts another configuration of the plugin in force without a restart of SPIRE.
 *
 * @param context Flags, and the file with the next `plugin_data`.
 * @returns The report.
 * @throws {OperatorError} The file is wrong, or SPIRE does not read its plugin's data from a file.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof POLICY_APPLY>): Promise<Report> {
  const site = discoverSite({ configFile: flags.config, environment: process.env })
  const target = site.spireServer?.text('plugins', 'NodeAttestor', 'keylime', 'plugin_data_file')
  if (target === undefined) {
    throw refusedBecause(
      'server.conf gives the plugin its data in a plugin_data block, which SPIRE reads at its start alone: use plugin_data_file',
    )
  }
  const next = textIn(words[0] ?? '')
  const { problems } = readAsked(next)
  if (problems.length > 0)
    throw new OperatorError('TK-CONF-INVALID', problems.map((problem) => `${words[0]}:${problem}`).join('; '))
  const pids = site.processes.filter(({ program }) => program === 'spire-server').map(({ pid }) => pid)
  const before = textIn(target.value)
  const put = (text: string): void => {
    writeFileSync(`${target.value}.new`, text)
    renameSync(`${target.value}.new`, target.value)
    // SPIRE reads dynamic plugin data again at this signal.
    for (const pid of pids) process.kill(pid, 'SIGUSR1')
  }
  const plan: Plan = {
    verb: 'policy apply',
    subject: target.value,
    onFailure: 'undo',
    steps: [
      {
        id: 'apply',
        title: `write ${target.value} and tell spire-server (process ${pids.join(', ') || 'none'}) to read it`,
        isDone: () => Promise.resolve(before === next),
        act: () => {
          put(next)
          return Promise.resolve({ file: target.value })
        },
        undo: () => {
          put(before)
          return Promise.resolve()
        },
      },
    ],
  }
  return changeReport(plan, await runPlan(plan, runOptions(flags, { progress, signal })))
}

function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new OperatorError('TK-USAGE', `${file}: cannot be read`, { cause })
  }
}
