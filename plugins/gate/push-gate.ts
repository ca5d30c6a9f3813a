/**
 * The gate for nodes in push mode, whose record says less, and whose verdict is tied to the TPM by the evidence judged.
 *
 * @module
 */
import { agentState, stateInWords } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import type { ErrorCode } from './catalogue/catalogue.ts'
import { type Reason, reasonFor } from './decision.ts'
import type { TpmPolicy } from './policy.ts'
import { type MeasuredBootVouch, type PolicyStrength, strengthOf } from './strength.ts'

/** Where the node's own evidence comes from. */
export type EvidenceKind = 'tpm' | 'keylime-agent'

/** What the verifier judged last, checked by ourselves. */
export type JudgedEvidence =
  /** A quote of the registered TPM over the verifier's challenge, judged good. */
  | { readonly kind: 'proved'; readonly types: readonly string[]; readonly ageSeconds: number }
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'pending'; readonly reason: string }

/** Codes that `enforce = false` does not relax. */
export const NEVER_SHADOWED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'KL-GATE-PUSH-MODE',
  'KL-GATE-PUSH-FAIL',
  'KL-PUSH-EVIDENCE-REJECTED',
  'KL-PUSH-EVIDENCE-PENDING',
])

const EVERY_PCR = 0xffffff

/** Tells whether a record is of a node in push mode: the verifier has no address of it. @param record It. @returns So. */
export function isPushMode(record: AgentRecord): boolean {
  return isAbsent(record.ip) && isAbsent(record.port)
}

/**
 * Judges what is special about push mode: evidence, status, state. Count, freshness and policy are judged as in pull mode.
 *
 * @param record What the verifier said.
 * @param own Where the node's own evidence comes from, and what the verifier judged; absent: it was not worth asking.
 * @param policy The enrolled policy, as far as it can be read.
 * @param maxAgeSeconds How old the evidence may be.
 * @returns Every reason that holds.
 */
export function pushReasons(
  record: AgentRecord,
  { kind, judged }: { readonly kind: EvidenceKind; readonly judged?: JudgedEvidence | undefined },
  policy: TpmPolicy | undefined,
  maxAgeSeconds: number,
): readonly Reason[] {
  // An identity quote of a push-mode node is relayed from somewhere: it has no Keylime agent that makes any.
  if (kind !== 'tpm') return [reasonFor('KL-GATE-PUSH-MODE', {})]
  return [statusReason(record, policy), stateReason(record), evidenceReason(record, judged, maxAgeSeconds)].filter(
    (one) => one !== undefined,
  )
}

/**
 * Works out what the verifier checks of a push-mode node: the mask says nothing of the logs there, what came does.
 *
 * @param policy The enrolled policy.
 * @param record What the verifier said.
 * @param types Kinds of evidence that were judged.
 * @param vouch What the operator says of the verifier's measured boot policy.
 * @returns As `strengthOf`.
 */
export function pushStrength(
  policy: TpmPolicy | undefined,
  record: AgentRecord,
  types: readonly string[],
  vouch?: MeasuredBootVouch,
): PolicyStrength {
  const logs = {
    hasRuntimePolicy: record.hasRuntimePolicy && types.includes('ima_log'),
    // Also 1 for an empty reference state, which names no PCR and brings no log.
    hasMbRefstate: record.hasMbRefstate && types.includes('uefi_log'),
  }
  const pcrs = strengthOf(policy, { hasRuntimePolicy: false, hasMbRefstate: false }, vouch)
  const { measuredBootEnrolled, measuredBoot, runtime } = strengthOf(
    policy === undefined ? undefined : { ...policy, mask: EVERY_PCR },
    logs,
    vouch,
  )
  return { ...pcrs, measuredBootEnrolled, measuredBoot, runtime }
}

function statusReason(record: AgentRecord, policy: TpmPolicy | undefined): Reason | undefined {
  const status = record.attestationStatus
  switch (status) {
    case 'PASS':
      return undefined
    case undefined:
      return reasonFor('KL-GATE-PUSH-OLD', {})
    case 'FAIL':
      return reasonFor('KL-GATE-PUSH-FAIL', {})
    case 'TIMEOUT':
      return reasonFor('KL-GATE-STATUS-TIMEOUT', {})
    case 'PENDING':
      return asksNothing(record, policy)
        ? reasonFor('KL-GATE-PUSH-EMPTY-POLICY', {})
        : reasonFor('KL-GATE-STATUS-PENDING', {})
    default:
      return reasonFor('KL-GATE-STATUS-UNKNOWN', { value: JSON.stringify(status) })
  }
}

function asksNothing(record: AgentRecord, policy: TpmPolicy | undefined): boolean {
  const hasPcrs = policy === undefined || policy.mask !== 0 || policy.allowed.size > 0
  return !hasPcrs && !record.hasRuntimePolicy && !record.hasMbRefstate
}

// START stays after the verifier was restarted, until the next attestation; null is what an older one stores.
const STARTED = 1
const TERMINATED = 8

function stateReason({ operationalState: state, lastEventId }: AgentRecord): Reason | undefined {
  if (state === null || state === STARTED) return undefined
  if (state === TERMINATED) return reasonFor('KL-GATE-STOPPED', {})
  const event = lastEventId ?? 'none'
  const meaning = agentState(state)?.meaning
  if (meaning === undefined) return reasonFor('KL-GATE-UNKNOWN-STATE', { state: String(state) })
  switch (meaning) {
    case 'polled':
      return undefined
    case 'stopped':
      return reasonFor('KL-GATE-STOPPED', {})
    case 'failed':
      return reasonFor('KL-GATE-FAILED', { event })
    case 'rejected':
      return reasonFor('KL-GATE-INVALID-QUOTE', { event })
    case 'pending':
      return reasonFor('KL-GATE-PENDING', { state: stateInWords(state) })
    default:
      return meaning satisfies never
  }
}

// Of a node whose record does not read PASS the evidence is not asked for.
function evidenceReason(
  record: AgentRecord,
  judged: JudgedEvidence | undefined,
  maxAgeSeconds: number,
): Reason | undefined {
  if (record.attestationStatus !== 'PASS') return undefined
  if (judged === undefined) return reasonFor('KL-PUSH-EVIDENCE-PENDING', { reason: 'it was not read' })
  if (judged.kind === 'rejected') return reasonFor('KL-PUSH-EVIDENCE-REJECTED', { reason: judged.reason })
  if (judged.kind === 'pending') return reasonFor('KL-PUSH-EVIDENCE-PENDING', { reason: judged.reason })
  if (judged.ageSeconds <= maxAgeSeconds) return undefined
  const reason = `the newest is ${Math.round(judged.ageSeconds)} s old, the limit is ${maxAgeSeconds} s`
  return reasonFor('KL-PUSH-EVIDENCE-PENDING', { reason })
}

function isAbsent(value: unknown): boolean {
  return value === null || value === undefined
}
