/**
 * `towerkeep policy baseline`.
 *
 * @module
 */
import { hostname, release } from 'node:os'
import type { VerbContext } from '../context.ts'
import type { POLICY_BASELINE } from '../flags/policy.ts'
import type { FleetHost } from '../fleet.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import { writeBaseline } from '../policy/baselines.ts'
import { baselineOf, policyHost, presentPcrs } from '../policy/host-policy.ts'
import { pcrNumbers } from '../policy/pcr-numbers.ts'
import { reEnrolStep } from '../policy/re-enrol.ts'
import { policyOf } from '../policy/windows.ts'
import type { Report } from '../report.ts'
import { openKeylimeAdmin } from '../sources/admin.ts'
import { openSources } from '../sources/open.ts'

/**
 * Takes the PCR values that a host proves now as what it is to have, and enrols it with them.
 *
 * @param context Flags, and the host.
 * @returns The report.
 * @throws {OperatorError} The host is not known, or its quote proves nothing.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof POLICY_BASELINE>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const host = await policyHost(sources, words[0], signal)
  await using keylime = openKeylimeAdmin(sources.services, flags.timeout)
  const pcrs = pcrNumbers(flags.pcr)
  const proved = await presentPcrs(host, keylime, { pcrs, times: flags.quotes }, signal)
  const lines = [...proved.pcrs].map(([pcr, value]) => `PCR ${pcr} ${value}`)
  const plan: Plan = {
    verb: 'policy baseline',
    subject: host.name,
    onFailure: 'undo',
    confirm: { word: host.name, what: "the host's name" },
    notes: ['what booted now becomes what is expected', ...lines],
    steps: [
      {
        id: 'baseline',
        title: `keep the values, events and packages in ${flags.baselines}`,
        act: () => {
          const file = writeBaseline(
            flags.baselines,
            baselineOf(host, proved, { kernel: isHere(host) ? release() : undefined, root: '' }),
          )
          return Promise.resolve({ file })
        },
      },
      ...(flags['keep-policy'] || host.record === undefined
        ? []
        : [
            reEnrolStep(host, keylime, {
              tpmPolicy: policyOf(proved.pcrs, host.record.value.tpmPolicy),
              withinMs: flags.within,
            }),
          ]),
    ],
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  return changeReport(plan, outcome, { summary: { host: host.name, pcrs: Object.fromEntries(proved.pcrs) }, lines })
}

// Kernel and packages are this machine's own, so they say something of no other.
function isHere({ name }: FleetHost): boolean {
  return name.split('.')[0] === hostname().split('.')[0]
}
