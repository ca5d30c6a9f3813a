/**
 * What is to be done about one host: pure, from how it stands with Keylime and SPIRE.
 *
 * @module
 */
import { attestationAge, type Decision, isPushMode } from '@tower-of-omens/gate'
import { agentState } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'

/** What the daemon may do. `evict` evicts for verdicts too, so that nothing latches. */
export type WatchMode = 'observe' | 'evict' | 'ban'

/** Why a host must lose its identity; `absent` and `gone` say nothing about what it is. */
export type CutOffCause = 'verdict' | 'absent' | 'stale' | 'gone'

/** How a host stands with Keylime; `none` is no reason to do anything. */
export type KeylimeStanding =
  | { readonly cause: CutOffCause; readonly code: string; readonly message: string }
  | { readonly cause: 'none'; readonly isAdmitted: boolean }

/** How SPIRE has the host's agent. */
export type SpireView = 'attested' | 'banned' | 'absent' | 'unknown'

/** Everything a decision depends on. */
export interface DecideFacts {
  readonly mode: WatchMode
  readonly keylime: KeylimeStanding
  readonly spire: SpireView
  /** The brake is on: many hosts went absent at once. */
  readonly brake: boolean
  /** `hold`: verdicts wait for the brake too. */
  readonly massVerdicts: 'cut' | 'hold'
  /** Milliseconds since this host was last evicted; undefined for never. */
  readonly sinceEvictionMs?: number | undefined
}

/** What to do, or why not. */
export type Verdict =
  | { readonly action: 'ban' | 'evict'; readonly cause: CutOffCause }
  | { readonly action: 'none'; readonly because: 'healthy' | 'done' | 'braked' | 'recent' }

/** A host is evicted at most once in this time: it may come back, and be refused by the gate. */
export const EVICT_EVERY_MS = 30_000

/**
 * Decides.
 *
 * @param facts Everything it depends on.
 * @returns What would be done; in mode `observe` the same as in `ban`, for the caller to leave undone.
 */
export function decide(facts: DecideFacts): Verdict {
  const { keylime, spire, mode } = facts
  if (keylime.cause === 'none') return { action: 'none', because: 'healthy' }
  // An agent that SPIRE does not have cannot be banned, and the gate refuses it.
  if (spire === 'banned' || spire === 'absent') return { action: 'none', because: 'done' }
  const isVerdict = keylime.cause === 'verdict'
  if (facts.brake && (!isVerdict || facts.massVerdicts === 'hold')) return { action: 'none', because: 'braked' }
  if (isVerdict && mode !== 'evict') return { action: 'ban', cause: keylime.cause }
  const { sinceEvictionMs = Number.POSITIVE_INFINITY } = facts
  if (sinceEvictionMs < EVICT_EVERY_MS) return { action: 'none', because: 'recent' }
  return { action: 'evict', cause: keylime.cause }
}

/**
 * Reads how a host stands from its record.
 *
 * @param record The verifier's record.
 * @param decision What the gate makes of it.
 * @returns The cause to cut it off, or none. Only what Keylime says of the host counts: a weak policy or a first quote
 *   that is still to come is no reason to take away what the host has.
 */
export function keylimeStanding(record: AgentRecord, decision: Decision): KeylimeStanding {
  if (decision.kind === 'admit') return { cause: 'none', isAdmitted: true }
  const meaning = agentState(record.operationalState)?.meaning
  const isPushed = isPushMode(record)
  const clauses = new Map<string, string>(decision.reasons.map(({ code, message }) => [code, message]))
  const because = (cause: CutOffCause, ...codes: readonly string[]): KeylimeStanding => {
    const code = codes.find((one) => clauses.has(one)) ?? decision.reasons[0].code
    return { cause, code, message: clauses.get(code) ?? decision.reasons[0].message }
  }
  if (meaning === 'rejected' || meaning === 'stopped') {
    return because('verdict', 'KL-GATE-INVALID-QUOTE', 'KL-GATE-STOPPED')
  }
  if (isPushed && record.attestationStatus === 'FAIL')
    return because('verdict', 'KL-GATE-PUSH-FAIL', 'KL-GATE-STATUS-FAIL')
  if (meaning === 'failed') return because('absent', 'KL-GATE-UNREACHABLE', 'KL-GATE-FAILED')
  if (record.attestationStatus === 'TIMEOUT') return because('absent', 'KL-GATE-STATUS-TIMEOUT')
  // A host that was enrolled anew has no success yet; only one that had some can be stale.
  if (clauses.has('KL-GATE-STALE') && attestationAge(record) !== undefined) return because('stale', 'KL-GATE-STALE')
  return { cause: 'none', isAdmitted: false }
}

/** How a host stands that SPIRE has and no verifier knows any more. */
export const GONE: KeylimeStanding = {
  cause: 'gone',
  code: 'TK-KL-NOT-ENROLLED',
  message: 'no verifier knows it any more',
}
