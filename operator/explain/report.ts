/**
 * The reports of `explain`.
 *
 * @module
 */
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Finding } from '../findings/finding.ts'
import type { Style } from '../render/style.ts'
import { tableLines } from '../render/table.ts'
import { type Envelope, type Report, readExit } from '../report.ts'
import type { StatusRow } from '../status/row.ts'
import type { ChainLink, LinkStanding } from './chain.ts'
import type { CodeExplanation } from './codes.ts'

/** One host with its chain. */
export interface ExplainedHost {
  readonly row: StatusRow
  readonly chain: readonly ChainLink[]
  readonly findings: readonly Finding[]
}

/** One host as the document has it. */
interface ExplainedItem {
  readonly host: string
  readonly agent_id: string
  readonly spiffe_id: string
  readonly chain: readonly ChainLink[]
}

/** Name and version of the document. */
const SCHEMA = 'towerkeep/explain/v1'

const MARKS: Readonly<Record<LinkStanding, string>> = { ok: '✓', broken: '✗', unknown: '?', unmarked: ' ' }
const SEVERITIES = { ok: 'ok', broken: 'crit', unknown: 'unknown', unmarked: 'info' } as const

/**
 * Makes the report of hosts.
 *
 * @param hosts Each with its chain.
 * @param options `failOn`; `unknown`: sources that could not be asked.
 * @returns The report.
 */
export function chainReport(
  hosts: readonly ExplainedHost[],
  options: {
    readonly failOn: 'warn' | 'crit'
    readonly unknown: Report['unknown']
    readonly findings: readonly Finding[]
  },
): Report {
  const findings = [...options.findings, ...hosts.flatMap((host) => host.findings)]
  const isBroken = hosts.some(({ chain }) => chain.some(({ standing }) => standing === 'broken'))
  const code = readExit(findings, options.failOn)
  const items = hosts.map(({ row, chain }) => ({
    host: row.host,
    agent_id: row.agent_id,
    spiffe_id: row.spiffe_id,
    chain,
  }))
  return {
    schema: SCHEMA,
    exit: isBroken && code === EXIT.ok ? EXIT.critical : code,
    summary: { hosts: hosts.length, broken: hosts.filter(({ chain }) => chain.some(isBrokenLink)).length },
    items,
    findings,
    unknown: options.unknown,
    ...wordsOf(items),
  }
}

/**
 * Makes the report of a document that the daemon gave.
 *
 * @param document The document.
 * @returns The report; undefined when it is the document of something else.
 */
export function reportOfExplained(document: Envelope): Report | undefined {
  if (document.schema !== SCHEMA) return undefined
  // Written by `chainReport` in the daemon, which is this very program.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const { items, summary, findings, unknown, exit } = document as Envelope & {
    readonly items: readonly ExplainedItem[]
    readonly exit: ExitCode
  }
  return { schema: SCHEMA, exit, summary, items, findings, unknown, ...wordsOf(items) }
}

function wordsOf(items: readonly ExplainedItem[]): Pick<Report, 'text' | 'short'> {
  return {
    text: (style) => items.map((item) => hostText(item, style)).join('\n'),
    short: () => items.map(shortText).join(''),
  }
}

/**
 * Makes the report of a code.
 *
 * @param explanation What it means.
 * @returns The report.
 */
export function codeReport(explanation: CodeExplanation): Report {
  const { code, meaning, cause, next } = explanation
  return {
    schema: 'towerkeep/explain-code/v1',
    exit: EXIT.ok,
    summary: {},
    items: [explanation],
    findings: [],
    unknown: [],
    text: (style) => `${style.strong(code)}\n  means  ${meaning}\n  cause  ${cause}\n  next   ${next}\n`,
    short: () => `${code}: ${meaning}; next: ${next}\n`,
  }
}

function isBrokenLink({ standing }: ChainLink): boolean {
  return standing === 'broken'
}

function hostText({ host, spiffe_id: spiffeId, chain }: ExplainedItem, style: Style): string {
  const rows = chain.map(({ standing, link, fact, source, at }) => [
    style.paint(SEVERITIES[standing], MARKS[standing]),
    link,
    fact,
    style.faint(at === null ? source : `${source}, ${at}`),
  ])
  const broken = chain.find(isBrokenLink)
  const ending =
    broken === undefined
      ? []
      : [`first broken link: ${broken.link}${broken.next === null ? '' : `; next: ${broken.next}`}`]
  return [`${style.strong(host)}  ${spiffeId}`, ...tableLines(rows), ...ending, ''].join('\n')
}

function shortText({ host, chain }: ExplainedItem): string {
  const broken = chain.find(isBrokenLink)
  return broken === undefined
    ? `${host}: whole\n`
    : `${host}: ${broken.link}: ${broken.fact}${broken.next === null ? '' : ` -> ${broken.next}`}\n`
}
