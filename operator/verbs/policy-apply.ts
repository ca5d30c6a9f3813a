/**
 * `towerkeep policy apply`.
 *
 * @module
 */
import type { VerbContext } from '../context.ts'
import type { POLICY_APPLY } from '../flags/policy.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import { pluginDataPlan } from '../policy/plugin-data.ts'
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
  const plan = pluginDataPlan(site, words[0] ?? '')
  return changeReport(plan, await runPlan(plan, runOptions(flags, { progress, signal })))
}
