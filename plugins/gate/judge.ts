/**
 * The gate: from the verifier's record of a node to admit or refuse. Pure, and the one address of every policy question.
 *
 * @module
 */
import { agentState, BoundedMap, cut, stateInWords } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { type ErrorCode, entryOf, type GateCode } from './catalogue/catalogue.ts'
import { type Decision, type Reason, reasonFor } from './decision.ts'
import { parseTpmPolicy, type TpmPolicy, TpmPolicyError } from './policy.ts'
import { type ProvedPcrs, provedPcrReasons } from './proved-pcrs.ts'
import {
  type EvidenceKind,
  isPushMode,
  type JudgedEvidence,
  NEVER_SHADOWED,
  pushReasons,
  pushStrength,
} from './push-gate.ts'
import {
  describeStrength,
  type MeasuredBootVouch,
  type PolicyRequirement,
  type PolicyStrength,
  strengthOf,
  unmetRequirements,
} from './strength.ts'

/** The age limit where the verifier (before 7.14.0) does not say how often it attests. */
export const DEFAULT_MAX_AGE_MS = 60_000
/** The least default age limit: the verifier's own retries and a slow TPM need some air. */
export const LEAST_DEFAULT_MAX_AGE_MS = 30_000
/** Bound on how far a last success may lie in the verifier's future before its clocks are not believed. */
export const MAX_FUTURE_SECONDS = 60

/** The configuration of the gate. */
export interface GateRules {
  /** `max_attestation_age` in milliseconds; without it 2 x the record's maximum interval, at least 30 s, else 60 s. */
  readonly maxAttestationAgeMs?: number
  readonly requirePolicy: readonly PolicyRequirement[]
  readonly pinnedPolicy?: TpmPolicy
  /** What the operator says of the verifiers' measured boot policy; absent: nothing. */
  readonly measuredBoot?: MeasuredBootVouch
  /** False: reasons the Go plugin did not have are reported and do not refuse. */
  readonly enforce: boolean
}

/** The gate's answer, with what the policy is worth either way. */
export type Judgement = Decision & {
  readonly policy: EnrolledPolicy
  /** Reasons that would refuse if `enforce` were true. */
  readonly shadowed: readonly Reason[]
}

/** The policy a node is enrolled with, as far as the record shows. */
export interface EnrolledPolicy {
  /** Undefined when the verifier's text cannot be read: then nothing counts as checked. */
  readonly policy?: TpmPolicy
  /** Says why it cannot be read. */
  readonly unreadable?: string
  readonly strength: PolicyStrength
}

/** What this attestation showed of the node by itself. */
export interface OwnEvidence {
  readonly kind: EvidenceKind
  /** PCR values of its quote, where that covers any but PCR 16. */
  readonly pcrs?: ProvedPcrs | undefined
  /** What a push-mode verifier judged last. */
  readonly judged?: JudgedEvidence | undefined
}

const IDENTITY_QUOTE: OwnEvidence = { kind: 'keylime-agent' }

/**
 * Judges a node by the verifier's record of it.
 *
 * @param record What the verifier said, with the time of its answer by its own clock (`receivedAt`, epoch seconds).
 * @param hashAlg The hash algorithm of the quote, already proved.
 * @param rules The configuration.
 * @param own What the attestation itself showed; default an identity quote.
 * @returns Admit; or `refuse` with every reason there is when one of them is a verdict, since a starting SPIRE agent
 *   exits on that; else `not-yet`. Never fails open: what is missing or unknown is not admitted.
 */
export function judge(
  record: AgentRecord,
  hashAlg: string,
  rules: GateRules,
  own: OwnEvidence = IDENTITY_QUOTE,
): Judgement {
  const policy = enrolledPolicy(record, rules, own.judged)
  const failed = [
    ...standingReasons(record, rules, own, policy),
    hashAlgReason(record, hashAlg),
    unreadablePolicyReason(policy, rules),
    weakPolicyReason(policy, rules),
    pinnedPolicyReason(policy, rules),
    ...provedPcrReasons(policy.policy, own.pcrs),
  ].filter((one) => one !== undefined)
  const inForce = rules.enforce ? failed : failed.filter(({ code }) => !isNewWithUs(code))
  const shadowed = rules.enforce ? [] : failed.filter(({ code }) => isNewWithUs(code))
  const [first, ...rest] = inForce.toSorted((left, right) => rank(left) - rank(right))
  if (first === undefined) return { kind: 'admit', policy, shadowed }
  return { kind: isVerdict(first) ? 'refuse' : 'not-yet', reasons: [first, ...rest], policy, shadowed }
}

/**
 * Reads the policy out of a record.
 *
 * @param record What the verifier said.
 * @param rules The configuration.
 * @param judged What a push-mode verifier judged last; logs that did not come are not counted.
 * @returns The policy, or why it cannot be read, and what it is worth.
 */
export function enrolledPolicy(
  record: AgentRecord,
  rules: Pick<GateRules, 'measuredBoot'> = {},
  judged?: JudgedEvidence,
): EnrolledPolicy {
  const types = judged?.kind === 'proved' ? judged.types : []
  const strength = (policy: TpmPolicy | undefined): PolicyStrength =>
    isPushMode(record)
      ? pushStrength(policy, record, types, rules.measuredBoot)
      : strengthOf(policy, record, rules.measuredBoot)
  try {
    const policy = policyOf(record.tpmPolicy)
    return { policy, strength: strength(policy) }
  } catch (error) {
    if (!(error instanceof TpmPolicyError)) throw error
    return { unreadable: error.message, strength: strength(undefined) }
  }
}

/** Policies read last, by their text: a fleet has a few, and each of its nodes comes with one. */
const read = new BoundedMap<string, TpmPolicy>(64)
/** Longer ones are read each time. */
const MAX_KEPT_CHARACTERS = 8_192

function policyOf(text: string): TpmPolicy {
  const known = read.get(text)
  if (known !== undefined) return known
  const policy = parseTpmPolicy(text)
  if (text.length <= MAX_KEPT_CHARACTERS) read.set(text, policy)
  return policy
}

/**
 * Computes how old a node's last success may be.
 *
 * @param record What the verifier said.
 * @param rules The configuration.
 * @returns Milliseconds.
 */
export function maxAgeMs(record: AgentRecord, rules: Pick<GateRules, 'maxAttestationAgeMs'>): number {
  if (rules.maxAttestationAgeMs !== undefined) return rules.maxAttestationAgeMs
  const interval = record.maximumAttestationIntervalMs
  return interval === undefined ? DEFAULT_MAX_AGE_MS : Math.max(LEAST_DEFAULT_MAX_AGE_MS, 2 * interval)
}

/**
 * Computes the age of a node's last success by the verifier's own clock.
 *
 * @param record What the verifier said.
 * @returns Seconds, negative when it lies in the future; undefined when the verifier names no success or no time.
 */
export function attestationAge(record: AgentRecord): number | undefined {
  const last = record.lastSuccessfulAttestation
  if (!isPositive(last) || !isPositive(record.receivedAt)) return undefined
  return record.receivedAt - last
}

// The Go plugin looked at the state alone (and took 4 for good, which the verifier never stores).
function isNewWithUs(code: ErrorCode): boolean {
  return !STATE_CODES.has(code) && !NEVER_SHADOWED.has(code)
}

const STATE_CODES: ReadonlySet<ErrorCode> = new Set<GateCode>([
  'KL-GATE-PUSH-MODE',
  'KL-GATE-FAILED',
  'KL-GATE-UNREACHABLE',
  'KL-GATE-INVALID-QUOTE',
  'KL-GATE-STOPPED',
  'KL-GATE-PENDING',
  'KL-GATE-UNKNOWN-STATE',
])

function isVerdict(failed: Reason): boolean {
  return entryOf(failed.code).status === 'PERMISSION_DENIED'
}

function rank(failed: Reason): number {
  return isVerdict(failed) ? 0 : 1
}

function isPositive(value: number | null | undefined): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0
}

// How the node stands: in push mode its record says less, and the evidence behind it counts too.
function standingReasons(
  record: AgentRecord,
  rules: GateRules,
  own: OwnEvidence,
  { policy }: EnrolledPolicy,
): readonly (Reason | undefined)[] {
  const passed = [countReason(record), freshnessReason(record, rules)]
  return isPushMode(record)
    ? [...pushReasons(record, own, policy, maxAgeMs(record, rules) / 1_000), ...passed]
    : [stateReason(record), ...passed, statusReason(record)]
}

function stateReason(record: AgentRecord): Reason | undefined {
  const state = record.operationalState
  const event = record.lastEventId ?? 'none'
  const meaning = agentState(state)?.meaning
  if (meaning === undefined) return reasonFor('KL-GATE-UNKNOWN-STATE', { state: String(state) })
  switch (meaning) {
    case 'polled':
      return undefined
    case 'failed':
      return reasonFor(isUnreachable(record) ? 'KL-GATE-UNREACHABLE' : 'KL-GATE-FAILED', { event })
    case 'rejected':
      return reasonFor('KL-GATE-INVALID-QUOTE', { event })
    case 'stopped':
      return reasonFor('KL-GATE-STOPPED', {})
    case 'pending':
      return reasonFor('KL-GATE-PENDING', { state: stateInWords(state) })
    default:
      return meaning satisfies never
  }
}

// Only in state 7: the event is never reset, so elsewhere it may be an old one.
function isUnreachable(record: AgentRecord): boolean {
  return (
    agentState(record.operationalState)?.meaning === 'failed' &&
    record.lastEventId?.startsWith('internal.verifier.not_reachable') === true
  )
}

function countReason(record: AgentRecord): Reason | undefined {
  const count = record.attestationCount
  return isPositive(count) ? undefined : reasonFor('KL-GATE-COUNT-ZERO', { count: count ?? 'missing' })
}

function freshnessReason(record: AgentRecord, rules: GateRules): Reason | undefined {
  if (!isPositive(record.lastSuccessfulAttestation)) return reasonFor('KL-GATE-NEVER', {})
  const age = attestationAge(record)
  if (age === undefined) return reasonFor('KL-GATE-NO-CLOCK', {})
  if (-age > MAX_FUTURE_SECONDS) return reasonFor('KL-GATE-FUTURE', { ahead_s: -age })
  const limit = maxAgeMs(record, rules)
  return age * 1_000 <= limit ? undefined : reasonFor('KL-GATE-STALE', { age_s: age, limit_s: limit / 1_000 })
}

function statusReason(record: AgentRecord): Reason | undefined {
  const status = record.attestationStatus
  switch (status) {
    case undefined:
    case 'PASS':
      return undefined
    case 'FAIL':
      // A pull-mode verifier computes FAIL from state 7 alone, also when it only lost the node.
      return isUnreachable(record) ? undefined : reasonFor('KL-GATE-STATUS-FAIL', {})
    case 'PENDING':
      return reasonFor('KL-GATE-STATUS-PENDING', {})
    case 'TIMEOUT':
      return reasonFor('KL-GATE-STATUS-TIMEOUT', {})
    default:
      return reasonFor('KL-GATE-STATUS-UNKNOWN', { value: JSON.stringify(status) })
  }
}

function hashAlgReason(record: AgentRecord, hashAlg: string): Reason | undefined {
  const accepted = record.acceptTpmHashAlgs
  // Empty: some clients store text there, which Keylime accepts; `allowed_hash_algs` holds all the same.
  if (accepted.length === 0 || accepted.includes(hashAlg)) return undefined
  return reasonFor('KL-GATE-HASH-ALG', { hash_alg: hashAlg, accepted: accepted.join(', ') })
}

// What cannot be read refuses where a policy is demanded, but is no verdict: the node cannot help it.
function unreadablePolicyReason({ unreadable }: EnrolledPolicy, rules: GateRules): Reason | undefined {
  const isDemanded = rules.requirePolicy.length > 0 || rules.pinnedPolicy !== undefined
  return unreadable === undefined || !isDemanded ? undefined : reasonFor('KL-POLICY-UNREADABLE', { reason: unreadable })
}

function weakPolicyReason({ policy, strength }: EnrolledPolicy, rules: GateRules): Reason | undefined {
  const missing = unmetRequirements(strength, rules.requirePolicy)
  if (policy === undefined || missing.length === 0) return undefined
  return reasonFor('KL-POLICY-WEAK', { missing: missing.join(', '), strength: describeStrength(strength) })
}

function pinnedPolicyReason({ policy }: EnrolledPolicy, { pinnedPolicy }: GateRules): Reason | undefined {
  if (policy === undefined || pinnedPolicy === undefined || policy.canonical === pinnedPolicy.canonical)
    return undefined
  return reasonFor('KL-POLICY-DIFFERS', {
    enrolled: cut(policy.canonical, 200),
    pinned: cut(pinnedPolicy.canonical, 200),
  })
}
