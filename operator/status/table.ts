/**
 * `status` for people.
 *
 * @module
 */
import type { Severity } from '../findings/finding.ts'
import { shortId, shortLength } from '../render/lengths.ts'
import type { Style } from '../render/style.ts'
import { tableLines } from '../render/table.ts'
import type { StatusRow } from './row.ts'
import type { StatusSummary } from './summary.ts'

const HEAD = ['HOST', 'AGENT ID', 'EK', 'KEYLIME', 'FRESH', 'POLICY', 'SPIRE', 'SVID', 'CERT', 'VERDICT']

/**
 * Draws the rows.
 *
 * @param rows One a host.
 * @param style How to dress them.
 * @returns Lines without line ends.
 */
export function statusTable(rows: readonly StatusRow[], style: Style): readonly string[] {
  return tableLines([HEAD.map((word) => style.strong(word)), ...rows.map((row) => cells(row, style))])
}

/**
 * Writes the four numbers.
 *
 * @param summary The numbers.
 * @returns One line.
 */
export function summaryLine(summary: StatusSummary): string {
  const { hosts, admitted } = summary
  return [
    `${admitted} of ${hosts} hosts admitted`,
    `TPM ${percent(summary.tpm_percent)}`,
    `join_token ${percent(summary.join_token_percent)}`,
    `mTLS ${percent(summary.mtls_percent)}`,
    `plain HTTP ${percent(summary.plain_http_percent)}`,
  ].join(' · ')
}

function percent(value: number | null): string {
  return value === null ? '?' : `${value} %`
}

const SPIRE_SEVERITY: Readonly<Record<StatusRow['spire']['standing'], Severity>> = {
  attested: 'ok',
  expired: 'warn',
  banned: 'warn',
  absent: 'warn',
  unknown: 'unknown',
}

function cells(row: StatusRow, style: Style): readonly string[] {
  const { keylime, spire, certificate, verdict } = row
  const count = keylime.attestation_count === null ? '' : ` ${keylime.attestation_count}`
  const isGood = verdict.standing === 'admitted'
  const judged = isGood ? 'ok' : verdict.standing === 'unknown' ? 'unknown' : 'crit'
  return [
    row.host,
    shortId(row.agent_id),
    row.ek === 'unknown' ? '?' : row.ek,
    keylime.state === null ? style.paint('unknown', '?') : `${keylime.state}${count}`,
    keylime.age_seconds === null ? '?' : shortLength(keylime.age_seconds),
    row.policy ?? '?',
    style.paint(SPIRE_SEVERITY[spire.standing], spire.standing === 'unknown' ? '?' : spire.standing),
    spire.svid_seconds_left === null
      ? spire.standing === 'unknown'
        ? '?'
        : '-'
      : shortLength(spire.svid_seconds_left),
    certificate.left_share === null ? '?' : `${Math.round(certificate.left_share * 100)} %`,
    style.paint(
      judged,
      isGood ? 'admit' : verdict.standing === 'unknown' ? '?' : `${verdict.standing} ${verdict.code ?? ''}`,
    ),
  ]
}
