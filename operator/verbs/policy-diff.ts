/**
 * `towerkeep policy diff`.
 *
 * @module
 */
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { POLICY_DIFF } from '../flags/policy.ts'
import { bootEvents, eventChanges, replayed } from '../policy/boot-events.ts'
import { policyHost, presentPcrs, storedBaseline } from '../policy/host-policy.ts'
import { bootPackages, packageChanges } from '../policy/packages.ts'
import { comparedPcrs, policyMembers } from '../policy/windows.ts'
import type { Report } from '../report.ts'
import { openKeylimeAdmin } from '../sources/admin.ts'
import { openSources } from '../sources/open.ts'

/**
 * Compares what a host is enrolled with to what its TPM proves now.
 *
 * @param context Flags, and the host.
 * @returns One item a PCR: exit 1 when one differs.
 * @throws {OperatorError} The host is not known, or its quote proves nothing.
 */
export async function run({ flags, words, signal }: VerbContext<typeof POLICY_DIFF>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const host = await policyHost(sources, words[0], signal)
  await using keylime = openKeylimeAdmin(sources.services, flags.timeout)
  const enrolled = host.record?.value.tpmPolicy ?? '{}'
  const members = policyMembers(enrolled)
  const baseline = storedBaseline('', host)
  const pcrs = comparedPcrs(enrolled).filter((pcr) => pcr !== 10 && pcr !== 16)
  // The boot log comes only with PCR 0.
  const proved = await presentPcrs(host, keylime, { pcrs: [...new Set([0, ...pcrs])], times: 1 }, signal)
  const now = proved.bootLog === undefined ? [] : bootEvents(proved.bootLog)
  const items = pcrs.map((pcr) => {
    const value = proved.pcrs.get(pcr) ?? ''
    const allowed = members.get(String(pcr)) ?? []
    const isExplained = now.length > 0 && replayed(now, pcr) === value
    return {
      pcr,
      same: allowed.includes(value),
      enrolled: allowed,
      now: value,
      // A log that does not lead to the proved value says nothing.
      events: allowed.includes(value) || !isExplained ? [] : eventChanges(baseline?.events ?? [], now, pcr),
      log: isExplained ? 'leads to the value' : now.length > 0 ? 'does not lead to the value' : 'none',
    }
  })
  const changed = items.filter(({ same }) => !same)
  const packages = baseline?.packages === undefined ? [] : packageChanges(baseline.packages, bootPackages(''))
  const lines = items.flatMap(({ pcr, same, events, log }) =>
    same
      ? [`  PCR ${pcr} as enrolled`]
      : [`! PCR ${pcr} differs (boot log ${log})`, ...events.map((event) => `    ${event}`)],
  )
  return {
    schema: 'towerkeep/policy-diff/v1',
    exit: changed.length > 0 ? EXIT.warning : EXIT.ok,
    summary: { host: host.name, changed: changed.length, packages },
    items,
    findings: [],
    unknown: [],
    text: () =>
      `${[...lines, ...packages.map((line) => `  package ${line}`), ...(changed.length > 0 ? [`when it was meant: towerkeep policy approve ${host.name}`] : [])].join('\n')}\n`,
  }
}
