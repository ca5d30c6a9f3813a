/**
 * Which hosts the verifier may begin anew with: those that it could not reach, and no others. Pure.
 *
 * @module
 */
import { attestationAge } from '@tower-of-omens/gate'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import type { FleetHost } from '../fleet.ts'

/** Why hosts are recovered. */
export type RecoverReason = 'reboot' | 'certificate' | 'clock'

/** What is to be done with one host. */
export type Recovery =
  | { readonly kind: 'reactivate'; readonly awaySeconds: number | null }
  /** Nothing to do. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'refuse'; readonly why: string }

/** What is decided by. */
export interface Recoverable {
  readonly name: string
  /** Undefined: no verifier knows it. */
  readonly record: { readonly value: AgentRecord } | undefined
  /** What its Keylime agent presents; `unasked`: what would be done if it answered well. */
  readonly certificate: FleetHost['certificate'] | 'unasked'
}

const UNREACHABLE = /not_reachable/
const CLOCK = /quote_validation$/

/**
 * Decides about one host.
 *
 * @param host The host.
 * @param rules `budgetSeconds`: in which the verifier gives a host up. `reason`: what the operator says.
 * @returns Reactivate only what no verifier polls any more and what failed for its connection: a second poller beside the
 *   first would share the record, and a host that failed its measurements must not come back by a command.
 */
export function recoveryOf(
  host: Recoverable,
  { budgetSeconds, reason }: { readonly budgetSeconds: number; readonly reason: RecoverReason },
): Recovery {
  const record = host.record?.value
  if (record === undefined) return { kind: 'leave' }
  const { operationalState: state, lastEventId: event = '' } = record
  if (state === 10)
    return { kind: 'refuse', why: 'was stopped by a person: enrol it again (towerkeep gc, then enroll accept)' }
  if (state === 9) return ofFailedQuote(event, reason)
  if (state !== 7) return { kind: 'leave' }
  if (!UNREACHABLE.test(event)) {
    return {
      kind: 'refuse',
      why: `failed for ${event || 'an unknown event'}, which is no lost connection: towerkeep explain ${host.name}`,
    }
  }
  const age = attestationAge(record)
  if (age !== undefined && age <= budgetSeconds) {
    return {
      kind: 'refuse',
      why: `had a success ${Math.round(age)} s ago, within the ${Math.round(budgetSeconds)} s of all retries: it may still be polled; wait`,
    }
  }
  return answering(host, age === undefined ? null : Math.round(age))
}

function ofFailedQuote(event: string, reason: RecoverReason): Recovery {
  if (!CLOCK.test(event)) {
    return {
      kind: 'refuse',
      why: `failed its measurements (${event || 'invalid quote'}): find out what changed, towerkeep policy diff`,
    }
  }
  if (reason === 'clock') return { kind: 'reactivate', awaySeconds: null }
  return {
    kind: 'refuse',
    why: "the TPM's clock went back after a power cut: run tpm2_setclock with a later time on the host, then recover --reason clock",
  }
}

function answering({ certificate, name }: Recoverable, awaySeconds: number | null): Recovery {
  if (certificate === 'unasked') return { kind: 'reactivate', awaySeconds }
  if ('failed' in certificate)
    return { kind: 'refuse', why: `does not answer yet (${certificate.failed}): start keylime_agent on ${name}` }
  if (certificate.value.leftShare <= 0)
    return { kind: 'refuse', why: `answers with a certificate that has ended: towerkeep renew on ${name}` }
  return { kind: 'reactivate', awaySeconds }
}
