/**
 * How each host of the tower stands, as one table.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { attestationAge, type GateRules, judge, type OwnEvidence } from '@tower-of-omens/gate'
import { stateInWords } from '@tower-of-omens/keylime'
import { lifeLeft, lifeOf } from '@tower-of-omens/keylime/tls-files'
import { reasonOf } from '../processes/errors.ts'
import { quotesOf } from '../services/keylime-admin.ts'
import type { TowerHost } from './host.ts'
import type { Tower } from './tower.ts'

/** One host's row. */
export interface StatusRow {
  readonly host: string
  /** `answers`, or why not. */
  readonly tpm: string
  /** What the gate says of the verifier's record, its state, and how many quotes have passed. */
  readonly keylime: string
  /** Seconds since the last quote that passed, as text. */
  readonly fresh: string
  /** Of the SPIRE agent: `attested`, `attesting`, `restarting`, `banned`. */
  readonly spire: string
  /** When the agent's SVID ends. */
  readonly svid: string
  /** Share of life left of the host's two certificates; `none` in push mode. */
  readonly certificates: string
  /** Whether everything is as it should be. */
  readonly ok: boolean
}

/** The server half's own rules, without a wish of the operator's. */
const RULES: GateRules = { requirePolicy: [], enforce: true }

/** What a host in push mode would bring, taken to be good: the table shows what its record says. */
const PUSHED: OwnEvidence = { kind: 'tpm', judged: { kind: 'proved', types: ['tpm_quote'], ageSeconds: 0 } }

/**
 * Looks at every host.
 *
 * @param now Milliseconds since 1970.
 */
export function towerStatus(tower: Tower, now = Date.now()): Promise<readonly StatusRow[]> {
  return Promise.all([...tower.hosts.values()].map((host) => rowOf(tower, host, now)))
}

/**
 * Draws the rows as a table.
 *
 * @param rows One for each host.
 */
export function renderStatus(rows: readonly StatusRow[]): string {
  const head = ['HOST', 'TPM', 'KEYLIME', 'FRESH', 'SPIRE AGENT', 'SVID UNTIL', 'CERTIFICATES']
  const cells = rows.map((row) => [row.host, row.tpm, row.keylime, row.fresh, row.spire, row.svid, row.certificates])
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [head, ...cells].map((row) => `${line(row)}\n`).join('')
}

async function rowOf(tower: Tower, host: TowerHost, now: number): Promise<StatusRow> {
  const [tpm, keylime, spire] = await Promise.all([tpmOf(host), keylimeOf(tower, host), spireOf(tower, host)])
  const files = host.mode === 'push' ? [] : [host.files.agentCert, host.files.pluginCert]
  const certificates = files.map((file) => lifeLeft(lifeOf(new X509Certificate(readFileSync(file))), now))
  return {
    host: host.name,
    tpm,
    ...keylime,
    ...spire,
    certificates:
      certificates.map((left) => (left <= 0 ? 'expired' : `${Math.round(left * 100)}%`)).join(' ') || 'none',
    ok: tpm === 'answers' && keylime.keylimeOk && spire.spireOk && certificates.every((left) => left > 0),
  }
}

async function tpmOf(host: TowerHost): Promise<string> {
  try {
    await host.measured.tpm.readPcr(0)
    return 'answers'
  } catch (error) {
    return reasonOf(error)
  }
}

async function keylimeOf(
  tower: Tower,
  host: TowerHost,
): Promise<{ keylime: string; fresh: string; keylimeOk: boolean }> {
  try {
    const record = await tower.keylimeOf(host).admin.enrolled(host.agentId)
    if (record === undefined) return { keylime: 'not enrolled', fresh: '-', keylimeOk: false }
    const decision = judge(record, 'sha256', RULES, host.mode === 'push' ? PUSHED : undefined)
    const why = decision.kind === 'admit' ? 'passes' : decision.reasons[0].code
    const age = attestationAge(record)
    return {
      keylime: `${why}, state ${stateInWords(record.operationalState)}, ${quotesOf(record)} quotes`,
      fresh: age === undefined ? 'never' : `${Math.round(age)} s`,
      keylimeOk: decision.kind === 'admit',
    }
  } catch (error) {
    return { keylime: reasonOf(error), fresh: '-', keylimeOk: false }
  }
}

async function spireOf(tower: Tower, host: TowerHost): Promise<{ spire: string; svid: string; spireOk: boolean }> {
  try {
    const shown = await tower.spire.agentShow(host.spiffeId)
    const exit = host.spire.target.process().exit()
    const until =
      shown === undefined ? '-' : new Date(Number(shown.x509svid_expires_at) * 1000).toISOString().slice(11, 19)
    const attested = shown?.banned === false && exit === undefined
    const running = exit === undefined ? 'attesting' : 'restarting'
    return {
      spire: shown?.banned === true ? 'banned' : attested ? 'attested' : running,
      svid: until,
      spireOk: attested,
    }
  } catch (error) {
    return { spire: reasonOf(error), svid: '-', spireOk: false }
  }
}
