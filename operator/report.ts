/**
 * What a verb gives back, and how it is printed: one JSON document, a text for people, or a few lines to paste.
 *
 * @module
 */
import { EXIT, type ExitCode } from './exit-codes.ts'
import { countFindings, type Finding } from './findings/finding.ts'
import type { OperatorError } from './operator-error.ts'
import { countLine, findingLines } from './render/finding-lines.ts'
import { printable, printableJson } from './render/printable.ts'
import { PLAIN, type Style } from './render/style.ts'

/** Something that could not be found out. */
export interface Unknown {
  readonly what: string
  readonly why: string
}

/** What a verb has to say. */
export interface Report {
  /** Such as `towerkeep/status/v1`. */
  readonly schema: string
  readonly exit: ExitCode
  readonly summary: object
  readonly items: readonly object[]
  readonly findings: readonly Finding[]
  readonly unknown: readonly Unknown[]
  /** Writes it for people, with a line end; without it findings and their count stand alone. */
  readonly text?: (style: Style) => string
  /** Writes it in a few lines, with a line end; without it findings and their count. */
  readonly short?: () => string
}

/** Where and when a report was made. */
export interface ReportStamp {
  readonly version: string
  readonly commit: string
  readonly at: Date
  /** How long it took. */
  readonly seconds: number
}

/** The JSON document: within `/v1` fields are only added. */
export interface Envelope {
  readonly schema: string
  readonly tool: { readonly version: string; readonly commit: string }
  /** ISO 8601, UTC. */
  readonly at: string
  readonly exit: number
  readonly summary: object
  readonly items: readonly object[]
  readonly findings: readonly Finding[]
  readonly unknown: readonly Unknown[]
  readonly error?: { readonly code: string; readonly message: string }
}

/**
 * Makes the JSON document of a report.
 *
 * @param report What a verb has to say.
 * @param stamp Where and when.
 * @returns The document.
 */
export function envelopeOf(report: Report, stamp: ReportStamp): Envelope {
  const { schema, exit, summary, items, findings, unknown } = report
  return { ...stamped(schema, stamp), exit, summary, items, findings, unknown }
}

/**
 * Makes the JSON document of a verb that could not go on.
 *
 * @param error Why.
 * @param stamp Where and when.
 * @returns The document.
 */
export function errorEnvelope(error: OperatorError, stamp: ReportStamp): Envelope {
  return {
    ...stamped('towerkeep/error/v1', stamp),
    exit: error.exit,
    summary: {},
    items: [],
    findings: [],
    unknown: [],
    error: { code: error.code, message: error.message },
  }
}

function stamped(schema: string, { version, commit, at }: ReportStamp): Pick<Envelope, 'schema' | 'tool' | 'at'> {
  return { schema, tool: { version, commit }, at: at.toISOString() }
}

/**
 * Prints a report.
 *
 * @param report What a verb has to say.
 * @param form How.
 * @param stamp Where and when.
 * @param style How text is dressed.
 * @returns All of standard output.
 */
export function printed(report: Report, form: 'text' | 'json' | 'short', stamp: ReportStamp, style: Style): string {
  switch (form) {
    case 'json':
      return printedJson(envelopeOf(report, stamp))
    case 'short':
      return printable(report.short?.() ?? ending(report, stamp, PLAIN))
    case 'text':
    default:
      return printable(report.text?.(style) ?? ending(report, stamp, style))
  }
}

/**
 * Writes a document for standard output.
 *
 * @param document The document.
 * @returns Its JSON, with a line end.
 */
export function printedJson(document: Envelope): string {
  return `${printableJson(JSON.stringify(document, null, 2))}\n`
}

/**
 * Writes the findings of a report and their count.
 *
 * @param report What a verb has to say.
 * @param stamp How long it took.
 * @param style How to dress it.
 * @returns Lines, with a line end.
 */
export function ending(report: Pick<Report, 'findings'>, { seconds }: ReportStamp, style: Style): string {
  return `${[...findingLines(report.findings, style), countLine(report.findings, seconds)].join('\n')}\n`
}

/**
 * Chooses the exit code of a verb that reads.
 *
 * @param findings What it found.
 * @param failOn The least severity that counts.
 * @returns 2 for a critical finding, else 3 where something could not be checked, else 1 for a warning, else 0.
 */
export function readExit(findings: readonly Finding[], failOn: 'warn' | 'crit' = 'warn'): ExitCode {
  const { crit, unknown, warn } = countFindings(findings)
  if (crit > 0) return EXIT.critical
  if (unknown > 0) return EXIT.unknown
  return warn > 0 && failOn === 'warn' ? EXIT.warning : EXIT.ok
}
