/**
 * What is wrong, as `status` sees it.
 *
 * @module
 */

import type { FindingId } from '../findings/catalogue.ts'
import { type Finding, finding } from '../findings/finding.ts'
import type { Fleet, FleetHost } from '../fleet.ts'
import { decidingReason, type Standing } from '../judgement.ts'
import type { StatusRow } from './row.ts'

/** Below this share of its life a certificate is worth a warning: renewal is due at a third. */
const LOW_SHARE = 0.25

/**
 * Says what is wrong with a host.
 *
 * @param row Its row.
 * @param host What every source said.
 * @param maxAgeMs `--max-age`.
 * @returns The findings; what follows from another names it.
 */
export function hostFindings(row: StatusRow, host: FleetHost, maxAgeMs?: number): readonly Finding[] {
  const keylime = keylimeFinding(row, host, maxAgeMs)
  const certificate = certificateFinding(row)
  const expired = certificate?.id === 'TK-CERT-EXPIRED' ? certificate : undefined
  const cause = expired !== undefined && keylime?.id === 'TK-KL-ABSENT' ? expired : undefined
  return [
    ...(row.ek === 'mismatch' ? [ekFinding(row)] : []),
    ...(keylime === undefined ? [] : [cause === undefined ? keylime : { ...keylime, because: [cause.id] }]),
    ...(certificate === undefined ? [] : [certificate]),
    ...spireFindings(row, keylime),
  ]
}

/**
 * Says which sources could not be asked.
 *
 * @param fleet Which sources answered.
 * @returns A finding each.
 */
export function sourceFindings({ failed }: Pick<Fleet, 'failed'>): readonly Finding[] {
  const sources = [
    ['TK-SRC-VERIFIER', 'keylime verifier', failed.verifier],
    ['TK-SRC-REGISTRAR', 'keylime registrar', failed.registrar],
    ['TK-SRC-SPIRE', 'spire server', failed.spire],
  ] as const
  return sources.flatMap(([id, subject, message]) => (message === undefined ? [] : [finding(id, { subject, message })]))
}

const IDS: Readonly<Record<Exclude<Standing, 'admitted'>, FindingId>> = {
  verdict: 'TK-KL-VERDICT',
  absent: 'TK-KL-ABSENT',
  pending: 'TK-KL-PENDING',
  weak: 'TK-KL-WEAK-POLICY',
  refused: 'TK-KL-REFUSED',
}

function keylimeFinding(row: StatusRow, host: FleetHost, maxAgeMs: number | undefined): Finding | undefined {
  if (row.keylime.state === 'not enrolled') {
    const message = host.registered === undefined ? 'neither registered nor enrolled' : 'registered, and not enrolled'
    return finding('TK-KL-NOT-ENROLLED', { host: row.host, subject: row.agent_id, message })
  }
  if (host.broken !== undefined) {
    return finding('TK-KL-REFUSED', { host: row.host, subject: row.agent_id, message: host.broken })
  }
  const { decision, standing } = host
  if (decision === undefined || standing === undefined) return undefined
  if (standing === 'admitted') return staleFinding(row, maxAgeMs)
  const clause = decidingReason(decision)
  return finding(IDS[standing], {
    host: row.host,
    subject: row.agent_id,
    message: `${clause?.message ?? ''} [${clause?.code ?? ''}]`,
    evidence: {
      code: clause?.code ?? null,
      operational_state: row.keylime.operational_state,
      age_seconds: row.keylime.age_seconds,
      last_event_id: row.keylime.last_event_id,
    },
    command: `towerkeep explain ${row.host}`,
  })
}

function staleFinding(row: StatusRow, maxAgeMs: number | undefined): Finding | undefined {
  const age = row.keylime.age_seconds
  if (maxAgeMs === undefined || age === null || age * 1000 <= maxAgeMs) return undefined
  return finding('TK-KL-ABSENT', {
    host: row.host,
    subject: row.agent_id,
    message: `the last success is ${age} s old, --max-age is ${maxAgeMs / 1000} s`,
    evidence: { age_seconds: age },
  })
}

function certificateFinding(row: StatusRow): Finding | undefined {
  const { left_share: left, not_after: until } = row.certificate
  if (left === null || left >= LOW_SHARE) return undefined
  const id = left <= 0 ? 'TK-CERT-EXPIRED' : 'TK-CERT-LOW'
  const ended = until === null ? 'its end is no date' : `ended at ${until}`
  const message = left <= 0 ? ended : `${Math.round(left * 100)} % of its life is left, until ${until}`
  return finding(id, {
    host: row.host,
    subject: 'certificate of the keylime agent',
    message,
    evidence: { left_share: left, not_after: until },
  })
}

function ekFinding(row: StatusRow): Finding {
  return finding('TK-KL-EK-MISMATCH', {
    host: row.host,
    subject: row.agent_id,
    message: 'the registered endorsement key has another hash',
  })
}

function spireFindings(row: StatusRow, keylime: Finding | undefined): readonly Finding[] {
  const about = { host: row.host, subject: row.spiffe_id }
  const because = keylime === undefined ? [] : [keylime.id]
  switch (row.spire.standing) {
    case 'absent':
      return [finding('TK-SPIRE-ABSENT', { ...about, message: 'no SPIRE agent is attested', because })]
    case 'banned':
      return [finding('TK-SPIRE-BANNED', { ...about, message: 'the SPIRE agent is banned', because })]
    case 'expired':
      return [finding('TK-SPIRE-EXPIRED', { ...about, message: "the SPIRE agent's SVID has ended", because })]
    case 'attested': {
      if (keylime?.severity !== 'crit') return []
      const message = `the SPIRE agent is still attested; its SVID ends in ${row.spire.svid_seconds_left} s`
      return [finding('TK-SPIRE-UNDECIDED', { ...about, message })]
    }
    case 'unknown':
    default:
      return []
  }
}
