/**
 * The status page: one HTML document that is whole without JavaScript; a script of ours replaces its body when news come.
 *
 * @module
 */

import type { Finding } from '../findings/finding.ts'
import { shortLength } from '../render/lengths.ts'
import type { StatusRow } from '../status/row.ts'
import type { Decided } from './hosts.ts'

/** What the page shows. */
export interface PageFacts {
  readonly at: string
  readonly mode: string
  readonly isReady: boolean
  readonly isBraked: boolean
  readonly rows: readonly StatusRow[]
  readonly findings: readonly Finding[]
  readonly decisions: readonly Decided[]
  readonly sources: readonly { readonly name: string; readonly isUp: boolean; readonly age: number | undefined }[]
}

/** What a browser may do with the page: our own style and script, nothing from elsewhere. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Its style. */
export const PAGE_STYLE = `:root{color-scheme:light dark;--ok:#1a7f37;--warn:#9a6700;--crit:#cf222e;--faint:#656d76}
@media(prefers-color-scheme:dark){:root{--ok:#3fb950;--warn:#d29922;--crit:#f85149;--faint:#8d96a0}}
body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.3rem}h2{font-size:1rem;margin:1.6rem 0 .4rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884;vertical-align:top}
th{color:var(--faint);font-weight:600}td{font-variant-numeric:tabular-nums}
.ok{color:var(--ok)}.warn,.unknown{color:var(--warn)}.crit{color:var(--crit);font-weight:600}.faint{color:var(--faint)}
code{font-size:.9em}
`

/** Its script: takes the body anew when the daemon says that something changed. */
export const PAGE_SCRIPT = `'use strict'
const events = new EventSource('events')
events.addEventListener('change', async () => {
  const answer = await fetch('fragment', { cache: 'no-store' })
  if (answer.ok) document.querySelector('main').innerHTML = await answer.text()
})
events.addEventListener('open', () => document.body.classList.add('live'))
`

/**
 * Writes the page.
 *
 * @param facts What it shows.
 * @returns The document.
 */
export function pageOf(facts: PageFacts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>towerkeep</title>
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
<noscript><meta http-equiv="refresh" content="5"></noscript>
</head>
<body>
<main>
${fragmentOf(facts)}</main>
</body>
</html>
`
}

/**
 * Writes what changes of the page.
 *
 * @param facts What it shows.
 * @returns The inside of its main element.
 */
export function fragmentOf(facts: PageFacts): string {
  return `<h1>${facts.rows.length} hosts ${badge(facts)}</h1>
<p class="faint">${escaped(facts.at)} · mode ${escaped(facts.mode)}</p>
${findingList(facts.findings)}${hostTable(facts.rows)}${decisionTable(facts.decisions)}${certificateTable(facts.rows)}${sourceTable(facts)}`
}

function badge({ isReady, isBraked, findings }: PageFacts): string {
  if (isBraked) return span('crit', 'brake on')
  if (!isReady) return span('warn', 'not ready')
  const worst = findings.some(({ severity }) => severity === 'crit')
  return worst ? span('crit', 'critical') : span('ok', 'watching')
}

function findingList(findings: readonly Finding[]): string {
  const causes = findings.filter(({ because, severity }) => because.length === 0 && severity !== 'info')
  if (causes.length === 0) return ''
  const items = causes.map(
    ({ severity, id, host, message, fix }) =>
      `<li>${span(severity, escaped(id))} ${escaped(host ?? '')} ${escaped(message)} <span class="faint">→ ${escaped(fix.command ?? fix.text)}</span></li>`,
  )
  return `<h2>Findings</h2>\n<ul>${items.join('')}</ul>\n`
}

function hostTable(rows: readonly StatusRow[]): string {
  const head = ['host', 'agent', 'EK', 'Keylime', 'fresh', 'policy', 'SPIRE', 'SVID', 'verdict']
  const body = rows.map((row) => [
    escaped(row.host),
    `<code title="${escaped(row.agent_id)}">${escaped(row.agent_id.slice(0, 8))}</code>`,
    row.ek,
    escaped(row.keylime.state ?? '?'),
    row.keylime.age_seconds === null ? '?' : shortLength(row.keylime.age_seconds),
    escaped(row.policy ?? '?'),
    span(SPIRE_CLASS[row.spire.standing], row.spire.standing),
    row.spire.svid_seconds_left === null ? '-' : shortLength(row.spire.svid_seconds_left),
    verdictCell(row),
  ])
  return table('Hosts', 'hosts', head, body)
}

const SPIRE_CLASS = { attested: 'ok', expired: 'warn', banned: 'crit', absent: 'warn', unknown: 'unknown' } as const

function verdictCell({ verdict }: StatusRow): string {
  if (verdict.standing === 'admitted') return span('ok', 'admit')
  if (verdict.standing === 'unknown') return span('unknown', '?')
  return span('crit', `${verdict.standing} ${escaped(verdict.code ?? '')}`)
}

function decisionTable(decisions: readonly Decided[]): string {
  const rows = decisions.map(({ at, agent_id: agentId, action, cause, code, message, took_ms: took }) => [
    escaped(at),
    `<code title="${escaped(agentId)}">${escaped(agentId.slice(0, 8))}</code>`,
    escaped(action),
    `${escaped(cause)}: ${escaped(message)} <code>${escaped(code)}</code>`,
    took === null ? '' : `${Math.round(took)} ms`,
  ])
  return table('Decisions', 'decisions', ['time', 'agent', 'done', 'why', 'from sight to done'], rows)
}

function certificateTable(rows: readonly StatusRow[]): string {
  const known = rows.filter(({ certificate }) => certificate.left_share !== null)
  const cells = known
    .toSorted((a, b) => (a.certificate.left_share ?? 0) - (b.certificate.left_share ?? 0))
    .map(({ host, certificate: { left_share: left, not_after: until } }) => [
      escaped(host),
      span((left ?? 0) < 0.1 ? 'crit' : (left ?? 0) < 0.25 ? 'warn' : 'ok', `${Math.round((left ?? 0) * 100)} %`),
      escaped(until ?? ''),
    ])
  return table('Certificates', 'certificates', ['host', 'life left', 'until'], cells)
}

function sourceTable({ sources }: PageFacts): string {
  const rows = sources.map(({ name, isUp, age }) => [
    escaped(name),
    isUp ? span('ok', 'answers') : span('crit', 'does not answer'),
    age === undefined ? 'never' : `${shortLength(age)} ago`,
  ])
  return table('Sources', 'sources', ['source', 'state', 'last answer'], rows)
}

function table(title: string, id: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  return `<h2>${title}</h2>\n<table id="${id}">\n<thead>${tableRow('th', head)}</thead>\n<tbody>${rows.map((row) => tableRow('td', row)).join('')}</tbody>\n</table>\n`
}

function tableRow(tag: string, cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>\n`
}

function span(kind: string, html: string): string {
  return `<span class="${kind}">${html}</span>`
}

/** Names and messages come from certificates and from Keylime's answers. */
function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
