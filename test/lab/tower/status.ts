/**
 * How each host of the tower stands, as one table.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { reasonOf } from '../processes/errors.ts'
import type { TowerHost } from './host.ts'
import type { Tower } from './tower.ts'

/** One host's row. */
export interface StatusRow {
  readonly host: string
  /** `answers`, or why not. */
  readonly tpm: string
  /** Name and number of the verifier's state, and how many quotes have passed. */
  readonly keylime: string
  /** Seconds since the last quote that passed, as text. */
  readonly fresh: string
  /** Of the SPIRE agent: `attested`, `retrying`, `stopped`. */
  readonly spire: string
  /** When the agent's SVID ends. */
  readonly svid: string
  /** Share of life left of the host's two certificates. */
  readonly certificates: string
  /** Whether everything is as it should be. */
  readonly ok: boolean
}

/** Seconds after which a last success is not fresh any more: five quotes. */
const FRESH_SECONDS = 10

const STATES = [
  'registered',
  'start',
  'saved',
  'get quote',
  'retry',
  'provide v',
  'retry v',
  'failed',
  'terminated',
  'invalid quote',
  'stopped',
]

/**
 * Looks at every host.
 *
 * @param tower The tower.
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
  const [tpm, keylime, spire] = await Promise.all([tpmOf(host), keylimeOf(tower, host, now), spireOf(tower, host)])
  const certificates = [host.files.agentCert, host.files.pluginCert].map((file) => lifeLeft(file, now))
  return {
    host: host.name,
    tpm,
    ...keylime,
    ...spire,
    certificates: certificates.map((left) => (left <= 0 ? 'expired' : `${Math.round(left * 100)}%`)).join(' '),
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
  now: number,
): Promise<{ keylime: string; fresh: string; keylimeOk: boolean }> {
  try {
    const standing = await tower.keylime.admin.enrolled(host.agentId)
    if (standing === undefined) return { keylime: 'not enrolled', fresh: '-', keylimeOk: false }
    const { operational_state: state, attestation_count: count, last_successful_attestation: last } = standing
    const age = last ? Math.round(now / 1000 - last) : undefined
    return {
      keylime: `${STATES[state] ?? 'unknown'} (${state}) ${count}`,
      fresh: age === undefined ? 'never' : `${age} s`,
      keylimeOk: (state === 3 || state === 5) && age !== undefined && age <= FRESH_SECONDS,
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
    const attested = shown !== undefined && exit === undefined
    return {
      spire: attested ? 'attested' : exit === undefined ? 'attesting' : 'restarting',
      svid: until,
      spireOk: attested,
    }
  } catch (error) {
    return { spire: reasonOf(error), svid: '-', spireOk: false }
  }
}

/** Share of a certificate's life that is left, at most 1; zero or less when it has ended. */
function lifeLeft(file: string, now: number): number {
  const certificate = new X509Certificate(readFileSync(file))
  const from = certificate.validFromDate.getTime()
  const to = certificate.validToDate.getTime()
  return Math.min(1, (to - now) / (to - from))
}
