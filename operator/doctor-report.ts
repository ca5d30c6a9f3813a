/**
 * What `doctor` gives back: its own findings, and those of other machines that were merged.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { linked } from './checks/edges.ts'
import { CHECKS, type CheckRun } from './checks/run-checks.ts'
import { isFindingId } from './findings/catalogue.ts'
import { type Finding, worstFirst } from './findings/finding.ts'
import { OperatorError } from './operator-error.ts'
import { tableLines } from './render/table.ts'
import { ending, type Report, readExit } from './report.ts'
import { DOCTOR_DOCUMENT } from './schemas/acting.ts'

/**
 * Makes the report of a run.
 *
 * @param runs How each check went.
 * @param merged Findings of other machines.
 * @param options `failOn`: the least severity that counts. `seconds`: how long it took.
 * @returns The report.
 */
export function doctorReport(
  runs: readonly CheckRun[],
  merged: readonly Finding[],
  { failOn, seconds }: { readonly failOn: 'warn' | 'crit'; readonly seconds: number },
): Report {
  const findings = worstFirst(linked([...distinct(runs.flatMap((run) => run.findings)), ...merged]))
  const passed = runs.filter((run) => run.findings.every(({ severity }) => severity === 'info')).length
  const stamp = { version: '', commit: '', at: new Date(0), seconds }
  return {
    schema: 'towerkeep/doctor/v1',
    exit: readExit(findings, failOn),
    summary: { checks: runs.length, passed, merged: merged.length },
    items: runs.map(({ check, findings: found, ms }) => ({
      check: check.id,
      area: check.area,
      findings: found.map(({ id }) => id),
      ms: Math.round(ms),
    })),
    findings,
    unknown: findings
      .filter(({ severity }) => severity === 'unknown')
      .map(({ subject, message }) => ({ what: subject, why: message })),
    text: (style) => `${passed} of ${runs.length} checks found nothing\n${ending({ findings }, stamp, style)}`,
  }
}

/**
 * Makes the list of all checks.
 *
 * @returns A report with one item a check.
 */
export function checkList(): Report {
  const rows = CHECKS.map(({ area, id, needs, blind, proves }) => [
    area,
    id,
    needs,
    blind,
    proves === true ? '--prove' : '',
  ])
  return {
    schema: 'towerkeep/doctor-list/v1',
    exit: 0,
    summary: { checks: CHECKS.length },
    items: CHECKS.map(({ area, id, needs, blind, finds, proves }) => ({
      area,
      check: id,
      needs,
      blind,
      finds,
      proves: proves === true,
    })),
    findings: [],
    unknown: [],
    text: () => `${tableLines([['AREA', 'CHECK', 'LOOKS AT', 'CANNOT SEE', ''], ...rows]).join('\n')}\n`,
  }
}

/**
 * Reads the findings of reports that doctor made on other machines.
 *
 * @param files JSON documents of `towerkeep doctor --output json`.
 * @returns Their findings; one without a host gets the file's name as its host.
 * @throws {OperatorError} `TK-USAGE`: a file is no such document.
 */
export function mergedFindings(files: readonly string[]): readonly Finding[] {
  return files.flatMap((file) => {
    const parsed = v.safeParse(DOCTOR_DOCUMENT, documentIn(file))
    if (!parsed.success) {
      throw new OperatorError('TK-USAGE', `${file}: is no document of towerkeep doctor --output json`)
    }
    const host = /([^/]+?)(\.json)?$/.exec(file)?.[1] ?? file
    return parsed.output.findings.flatMap((one): readonly Finding[] =>
      isFindingId(one.id) ? [{ ...one, id: one.id, host: one.host ?? host, fix: fixOf(one.fix), because: [] }] : [],
    )
  })
}

function fixOf(fix: { readonly text: string; readonly command?: string | undefined }): Finding['fix'] {
  return { text: fix.text, ...(fix.command !== undefined && { command: fix.command }) }
}

function documentIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new OperatorError('TK-USAGE', `${file}: cannot be read as JSON`, { cause })
  }
}

function distinct(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((one) => [keyOf(one), one])).values()]
}

function keyOf({ id, host, subject, message }: Finding): string {
  return JSON.stringify([id, host, subject, message])
}
