/**
 * `towerkeep policy show` and `towerkeep policy lint`.
 *
 * @module
 */
import { checksNothing, describeStrength } from '@tower-of-omens/gate'
import { requireHost, requireSources } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import { type Finding, finding } from '../findings/finding.ts'
import type { POLICY_LINT, POLICY_SHOW } from '../flags/policy.ts'
import { type FleetHost, gatherFleet } from '../fleet.ts'
import { tableLines } from '../render/table.ts'
import { ending, type Report, readExit } from '../report.ts'
import { openSources } from '../sources/open.ts'

/**
 * Shows what the enrolled policy of each host really compares; a policy that compares too little is a finding.
 *
 * @param context Flags, and hosts.
 * @returns One item a host.
 * @throws {OperatorError} The verifier is away, or a word names no host.
 */
export async function run({
  flags,
  words,
  signal,
}: VerbContext<typeof POLICY_SHOW | typeof POLICY_LINT>): Promise<Report> {
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['verifier'])
  const hosts = words.length === 0 ? fleet.hosts : words.map((word) => requireHost(fleet, word))
  const items = hosts.filter(({ decision }) => decision !== undefined).map(itemOf)
  const findings = hosts.flatMap(weaknessOf)
  const rows = items.map((item) => [
    item.host,
    item.compared.join(' ') || '-',
    item.only_quoted.join(' ') || '-',
    item.boot_log ? 'yes' : 'no',
    item.ima ? 'yes' : 'no',
  ])
  const stamp = { version: '', commit: '', at: new Date(0), seconds: 0 }
  return {
    schema: 'towerkeep/policy-show/v1',
    exit: readExit(findings, flags['fail-on']),
    summary: { hosts: items.length },
    items,
    findings,
    unknown: [],
    text: (style) =>
      `${tableLines([['HOST', 'COMPARED', 'ONLY QUOTED', 'BOOT LOG', 'IMA'], ...rows]).join('\n')}\n${ending({ findings }, stamp, style)}`,
  }
}

function weaknessOf(host: FleetHost): readonly Finding[] {
  if (host.broken !== undefined)
    return [finding('TK-DOC-UNSEEN', { host: host.name, subject: host.agentId, message: host.broken })]
  const strength = host.decision?.policy.strength
  if (strength === undefined) return []
  const reasons = host.decision?.kind === 'refuse' ? host.decision.reasons : []
  const unmet = reasons.find(({ code }) => code.startsWith('KL-POLICY-'))
  const about = { host: host.name, subject: host.agentId }
  if (unmet !== undefined)
    return [finding('TK-KL-WEAK-POLICY', { ...about, message: `${unmet.message} [${unmet.code}]` })]
  if (!checksNothing(strength)) return []
  return [finding('TK-KL-WEAK-POLICY', { ...about, message: `compares nothing: ${describeStrength(strength)}` })]
}

function itemOf(host: FleetHost) {
  const strength = host.decision?.policy.strength
  return {
    host: host.name,
    agent_id: host.agentId,
    compared: strength?.comparedPcrs ?? [],
    only_quoted: strength?.quotedPcrs ?? [],
    boot_log: strength?.measuredBoot ?? false,
    ima: strength?.runtime ?? false,
    tpm_policy: host.record?.value.tpmPolicy ?? null,
  }
}
