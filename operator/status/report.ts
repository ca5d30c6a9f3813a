/**
 * The report of `status`.
 *
 * @module
 */

import type { ExitCode } from '../exit-codes.ts'
import type { Finding } from '../findings/finding.ts'
import { type Fleet, failedSources, hostsNamed } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import { countLine, findingLines } from '../render/finding-lines.ts'
import { PLAIN } from '../render/style.ts'
import { type Envelope, type Report, readExit } from '../report.ts'
import { hostFindings, sourceFindings } from './findings.ts'
import { type StatusRow, statusRow } from './row.ts'
import { type StatusSummary, statusSummary } from './summary.ts'
import { statusTable, summaryLine } from './table.ts'

/** What is asked for. */
export interface StatusQuestion {
  /** Only these hosts; all when empty. */
  readonly words: readonly string[]
  readonly maxAgeMs?: number | undefined
  readonly failOn?: 'warn' | 'crit'
}

/** A report with its rows typed. */
export interface StatusReport extends Report {
  readonly items: readonly StatusRow[]
}

/**
 * Makes the report.
 *
 * @param fleet Everything at one moment.
 * @param question What is asked for.
 * @param now Milliseconds since the epoch.
 * @param took Seconds that gathering took.
 * @returns The report.
 * @throws {OperatorError} `TK-USAGE`: a word names no host, and every source answered.
 */
export function statusReport(fleet: Fleet, question: StatusQuestion, now: number, took: number): StatusReport {
  const chosen = chosenHosts(fleet, question.words)
  const items = chosen.map((host) => statusRow(host, fleet, now))
  const findings: readonly Finding[] = [
    ...sourceFindings(fleet),
    ...chosen.flatMap((host, index) => {
      const row = items[index]
      return row === undefined ? [] : hostFindings(row, host, question.maxAgeMs)
    }),
  ]
  const facts = { items, findings, summary: statusSummary(fleet, now), unknown: unknowns(fleet) }
  return { ...facts, ...wordsOf(facts, took), schema: SCHEMA, exit: readExit(findings, question.failOn) }
}

/** Name and version of the document. */
const SCHEMA = 'towerkeep/status/v1'

/** The facts of a report, as its document has them too. */
interface StatusFacts {
  readonly items: readonly StatusRow[]
  readonly summary: StatusSummary
  readonly findings: readonly Finding[]
}

/**
 * Makes the report of a document that the daemon gave.
 *
 * @param document The document.
 * @param took Seconds that asking took.
 * @returns The report; undefined when it is the document of something else.
 */
export function reportOfDocument(document: Envelope, took: number): StatusReport | undefined {
  if (document.schema !== SCHEMA) return undefined
  // Written by `statusReport` in the daemon, which is this very program.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const { items, summary, findings, unknown, exit } = document as Envelope & StatusFacts & { exit: ExitCode }
  return { schema: SCHEMA, items, summary, findings, unknown, exit, ...wordsOf({ items, summary, findings }, took) }
}

function wordsOf({ items, summary, findings }: StatusFacts, took: number): Pick<Report, 'text' | 'short'> {
  return {
    text: (style) =>
      [
        ...statusTable(items, style),
        '',
        summaryLine(summary),
        ...findingLines(findings, style),
        countLine(findings, took),
        '',
      ].join('\n'),
    short: () => [summaryLine(summary), ...findingLines(findings, PLAIN), ''].join('\n'),
  }
}

function chosenHosts(fleet: Fleet, words: readonly string[]): Fleet['hosts'] {
  if (words.length === 0) return fleet.hosts
  const isWhole = failedSources(fleet).length === 0
  const found = words.flatMap((word) => {
    const hosts = hostsNamed(fleet.hosts, word)
    if (hosts.length === 0 && isWhole) {
      const names = fleet.hosts.map(({ name }) => name)
      throw new OperatorError('TK-USAGE', `no host ${word}: known are ${names.slice(0, 10).join(', ') || 'none'}`)
    }
    return hosts
  })
  return [...new Set(found)]
}

function unknowns(fleet: Fleet): Report['unknown'] {
  const certificates = fleet.hosts.flatMap(({ name, certificate }) =>
    'failed' in certificate ? [{ what: `certificate of ${name}`, why: certificate.failed }] : [],
  )
  return [...failedSources(fleet), ...certificates]
}
