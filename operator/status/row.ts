/**
 * One host of `status`: the facts of every source as plain values, the same in JSON and in the table.
 *
 * @module
 */
import { attestationAge, type PolicyStrength } from '@tower-of-omens/gate'
import { registeredKeys } from '@tower-of-omens/keylime/evidence'
import type { Fleet, FleetHost } from '../fleet.ts'
import { decidingReason, type Standing } from '../judgement.ts'
import { valueOf } from '../sources/state.ts'
import { stateWords } from './states.ts'

/** Whether the agent ID is the hash of the registered endorsement key; `unproved`: it does not claim to be. */
export type EkStanding = 'match' | 'mismatch' | 'unproved' | 'unknown'

/** How SPIRE knows a host. */
export type SpireStanding = 'attested' | 'expired' | 'banned' | 'absent' | 'unknown'

/** One row. What a source did not say is null. */
export interface StatusRow {
  readonly host: string
  readonly agent_id: string
  readonly spiffe_id: string
  readonly ek: EkStanding
  readonly keylime: {
    /** Such as `get-quote (3)`; `not enrolled`; null when no verifier could be asked. */
    readonly state: string | null
    readonly operational_state: number | null
    readonly attestation_count: number | null
    /** Seconds since the last success, by the verifier's own clock. */
    readonly age_seconds: number | null
    readonly last_event_id: string | null
    readonly verifier: string | null
  }
  /** What the enrolled policy really checks. */
  readonly policy: string | null
  readonly spire: {
    readonly standing: SpireStanding
    readonly svid_seconds_left: number | null
    readonly agent_version: string | null
  }
  /** Share of life left of the certificate that its Keylime agent presents, 0 to 1. */
  readonly certificate: { readonly left_share: number | null; readonly not_after: string | null }
  /** What the plugin would decide now. */
  readonly verdict: {
    readonly standing: Standing | 'unknown'
    readonly code: string | null
    readonly message: string | null
  }
}

/**
 * Makes the row of a host.
 *
 * @param host What every source said.
 * @param fleet Which sources answered.
 * @param now Milliseconds since the epoch.
 * @returns The row.
 */
export function statusRow(host: FleetHost, fleet: Pick<Fleet, 'failed'>, now: number): StatusRow {
  const record = host.record?.value
  const certificate = valueOf(host.certificate)
  const clause = host.decision === undefined ? undefined : decidingReason(host.decision)
  return {
    host: host.name,
    agent_id: host.agentId,
    spiffe_id: host.spiffeId,
    ek: ekOf(host, fleet),
    keylime: {
      state: keylimeState(host, fleet),
      operational_state: record?.operationalState ?? null,
      attestation_count: record?.attestationCount ?? null,
      age_seconds: (record === undefined ? undefined : attestationAge(record)) ?? null,
      last_event_id: isFailed(record?.operationalState) ? (record?.lastEventId ?? null) : null,
      verifier: host.record?.verifier ?? null,
    },
    policy: host.decision === undefined ? null : policyWords(host.decision.policy.strength),
    spire: spireOf(host, fleet, now),
    certificate: {
      left_share: certificate === undefined ? null : Math.max(0, round(certificate.leftShare)),
      not_after: dateText(certificate?.certificate.validToDate),
    },
    verdict: {
      standing: host.standing ?? 'unknown',
      code: clause?.code ?? null,
      message: clause?.message ?? host.broken ?? null,
    },
  }
}

/**
 * Writes in a few words what a policy is worth.
 *
 * @param strength What the gate made of it.
 * @returns Such as `pcr 0,4,7 + boot + runtime`; `boot (enrolled)` where nobody vouches that the verifier compares it;
 *   `none` when nothing of the boot is compared.
 */
export function policyWords({ bootPcrs, measuredBoot, measuredBootEnrolled, runtime }: PolicyStrength): string {
  const parts = [
    ...(bootPcrs.length > 0 ? [`pcr ${bootPcrs.join(',')}`] : []),
    ...(measuredBootEnrolled ? [measuredBoot ? 'boot' : 'boot (enrolled)'] : []),
    ...(runtime ? ['runtime'] : []),
  ]
  return parts.length === 0 ? 'none' : parts.join(' + ')
}

function keylimeState(host: FleetHost, { failed }: Pick<Fleet, 'failed'>): string | null {
  if (host.record !== undefined) return stateWords(host.record.value.operationalState)
  if (host.broken !== undefined) return 'unreadable record'
  return failed.verifier === undefined ? 'not enrolled' : null
}

// The event stays in the record after healing, so it means something in these states only.
function isFailed(state: number | null | undefined): boolean {
  return state === 7 || state === 9
}

function ekOf({ registered, agentId }: FleetHost, { failed }: Pick<Fleet, 'failed'>): EkStanding {
  if (registered === undefined) return failed.registrar === undefined ? 'unproved' : 'unknown'
  try {
    if (registeredKeys(registered).ekUuid === agentId) return 'match'
  } catch {
    return 'unknown'
  }
  return /^[0-9a-f]{64}$/.test(agentId) ? 'mismatch' : 'unproved'
}

function spireOf({ spire }: FleetHost, { failed }: Pick<Fleet, 'failed'>, now: number): StatusRow['spire'] {
  if (spire === undefined) {
    return {
      standing: failed.spire === undefined ? 'absent' : 'unknown',
      svid_seconds_left: null,
      agent_version: null,
    }
  }
  const left = Math.round(spire.expiresAt - now / 1000)
  const standing = spire.banned ? 'banned' : left <= 0 ? 'expired' : 'attested'
  return {
    standing,
    svid_seconds_left: spire.banned ? null : left,
    agent_version: spire.version === '' ? null : spire.version,
  }
}

// A stranger's certificate may end at what is no date.
function dateText(date: Date | undefined): string | null {
  return date === undefined || Number.isNaN(date.getTime()) ? null : date.toISOString()
}

function round(share: number): number {
  return Math.round(share * 1000) / 1000
}
