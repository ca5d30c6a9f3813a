/**
 * Checks that run side by side, each with a deadline; one that fails is UNKNOWN and hurts no other.
 *
 * @module
 */
import type { Finding } from '../findings/finding.ts'
import { BOOT_CHECKS } from './boot.ts'
import { BUNDLE_CHECKS } from './bundle.ts'
import { CERT_CHECKS } from './certs.ts'
import type { Area, Check } from './check.ts'
import { CLOCK_CHECKS } from './clock.ts'
import { CONF_CHECKS } from './conf.ts'
import { DEVID_CHECKS } from './devid.ts'
import { linked } from './edges.ts'
import { IDENTITY_CHECKS } from './identity.ts'
import { KEYLIME_CHECKS } from './keylime.ts'
import { NET_CHECKS } from './net.ts'
import { PLUGIN_CHECKS } from './plugin.ts'
import { POLICY_CHECKS } from './policy.ts'
import { SECRET_CHECKS } from './secrets.ts'
import { SPIRE_CHECKS } from './spire.ts'
import { unseen, type View } from './view.ts'

/** Every check. */
export const CHECKS: readonly Check[] = [
  ...CONF_CHECKS,
  ...CERT_CHECKS,
  ...NET_CHECKS,
  ...IDENTITY_CHECKS,
  ...POLICY_CHECKS,
  ...BOOT_CHECKS,
  ...BUNDLE_CHECKS,
  ...PLUGIN_CHECKS,
  ...DEVID_CHECKS,
  ...CLOCK_CHECKS,
  ...SPIRE_CHECKS,
  ...KEYLIME_CHECKS,
  ...SECRET_CHECKS,
]

/** How one check went. */
export interface CheckRun {
  readonly check: Check
  readonly findings: readonly Finding[]
  readonly ms: number
}

/**
 * Runs the checks of some areas.
 *
 * @param view What they look at.
 * @param options `areas`: empty for all. `prove`: also those that ask others. `deadlineMs`: limit of each.
 * @returns How each went, findings linked to their causes.
 */
export async function runChecks(
  view: View,
  options: { readonly areas: readonly Area[]; readonly prove: boolean; readonly deadlineMs: number },
): Promise<readonly CheckRun[]> {
  const wanted = CHECKS.filter(
    ({ area, proves }) =>
      (options.areas.length === 0 || options.areas.includes(area)) && (proves !== true || options.prove),
  )
  const runs = await Promise.all(wanted.map((check) => runOne(check, view, options.deadlineMs)))
  const all = linked(distinct(runs.flatMap(({ findings }) => findings)))
  return runs.map((run) => ({
    ...run,
    findings: all.filter((one) => run.findings.some((found) => isSame(found, one))),
  }))
}

async function runOne(check: Check, view: View, deadlineMs: number): Promise<CheckRun> {
  const started = performance.now()
  const limit = Promise.withResolvers<readonly Finding[]>()
  const timer = setTimeout(() => limit.resolve([unseen(check.id, `did not end within ${deadlineMs} ms`)]), deadlineMs)
  try {
    const findings = await Promise.race([check.run(view), limit.promise])
    return { check, findings, ms: performance.now() - started }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { check, findings: [unseen(check.id, why)], ms: performance.now() - started }
  } finally {
    clearTimeout(timer)
  }
}

// Two checks may meet the same fact.
function distinct(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter((one, at) => findings.findIndex((other) => isSame(one, other)) === at)
}

function isSame(a: Finding, b: Finding): boolean {
  return a.id === b.id && a.host === b.host && a.subject === b.subject && a.message === b.message
}
