/**
 * How a proved node stands with the verifier, now or within `wait_for_attestation`.
 *
 * @module
 */

import { AttestError, type GateRules, inWords, isPushMode, type Judgement, judge } from '@tower-of-omens/gate'
import { type AgentId, type Deadline, isKeylimeError, KeylimeError, withDeadline } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import type { Evidence } from '@tower-of-omens/keylime/evidence'
import type { AttestStream } from '@tower-of-omens/spire-sdk'
import { kindOf, provedPcrsOf } from '../challenge.ts'
import type { ProvedNode } from '../proof.ts'
import type { Verifier } from '../reading/clients.ts'
import type { HeldNodes } from '../reading/held-nodes.ts'
import type { ServiceGroup } from '../reading/service-group.ts'

/** What one verifier says of a node, and what the gate makes of it. */
export interface KnownStanding {
  readonly kind: 'known'
  readonly verifier: string
  readonly record: AgentRecord
  /** When the verifier was asked for the record, by the clock of the registrar's records. */
  readonly readAt: number
  readonly decision: Judgement
}

/** How a node stands; `unknown`: no verifier knows it yet. */
export type Standing = KnownStanding | { readonly kind: 'unknown'; readonly error: KeylimeError }

/** Who is asked, and how the answer is judged. */
export interface StandingSource {
  readonly verifiers: ServiceGroup<Verifier>
  readonly rules: GateRules
}

/** What a wait for a better standing needs. */
export interface WaitOptions {
  readonly agentId: AgentId
  /** `wait_for_attestation`, milliseconds; 0: there is no wait. */
  readonly waitMs: number
  /** How many nodes are held by it. */
  readonly held: HeldNodes
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** Asks for the standing again. */
  readonly ask: (deadline: Deadline) => Promise<Standing>
  /** Proves the node again, at the end of a wait that would admit it. */
  readonly proveAgain: (signal: AbortSignal) => Promise<void>
}

/** First pause between two looks: the verifier's default quote interval. */
const FIRST_PAUSE_MS = 2_000
const LONGEST_PAUSE_MS = 5_000
/** How long a node is held that no verifier knows: anyone can register, and each look costs the verifiers a read. */
const UNKNOWN_WAIT_MS = 30_000
/** Bound of one look while waiting, its place in the queue included. */
const LOOK_LIMIT_MS = 30_000

/**
 * Asks the verifiers for a node's record and, where no opinion stands, for their opinion of its quote.
 *
 * Both come from the same verifier, and both after the proof.
 *
 * @param evidence The proved evidence.
 * @param node The proved node.
 * @param source Verifiers and rules.
 * @param deadline Limit of the attestation, or of one look while waiting.
 * @returns The standing, or that nobody knows the node.
 * @throws {AttestError} `KL-QUOTE-VERIFIER-REJECTED`, `KL-OPINION-SELF-CHECK`.
 * @throws {KeylimeError} No verifier could answer in time. Of reason `queue-full`: too many wait.
 */
export async function standingOf(
  evidence: Evidence,
  node: ProvedNode,
  { verifiers, rules }: StandingSource,
  { signal }: Deadline,
): Promise<Standing> {
  try {
    return await verifiers.askInTurn(evidence.agentId, signal, (verifier) =>
      askVerifier(verifier, evidence, node, rules, signal).catch(nameVerifier(verifier.name)),
    )
  } catch (error) {
    if (isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) return { kind: 'unknown', error: onlyRegistered(error) }
    throw error
  }
}

/** Asks one verifier both at once. A verdict in either answer stands when the other fails: nobody else is asked then. */
async function askVerifier(
  verifier: Verifier,
  evidence: Evidence,
  { registered, contested }: ProvedNode,
  rules: GateRules,
  signal: AbortSignal,
): Promise<KnownStanding> {
  const { agentId, hashAlg } = evidence
  const opinion = verifier.opinion.confirm(evidence, registered.akTpm, { signal, afresh: contested })
  // Until it is awaited.
  opinion.catch(() => undefined)
  const { record, readAt } = await verifier.reader.read(agentId, { signal }).catch(async (error: unknown) => {
    if (!isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) await opinion.catch(throwVerdict)
    throw error
  })
  const judged = isWorthReading(record, evidence) ? await verifier.judged.read(registered, signal) : undefined
  const own = { kind: kindOf(evidence), pcrs: provedPcrsOf(evidence), judged }
  const decision = judge(record, hashAlg, rules, own)
  if (decision.kind !== 'refuse') {
    await opinion
    if (verifier.opinion.outlived(agentId, registered.akTpm, record.attestationCount ?? 0)) {
      await verifier.opinion.confirm(evidence, registered.akTpm, { signal })
    }
  }
  return { kind: 'known', verifier: verifier.name, record, readAt, decision }
}

// Only a push-mode verifier keeps what it judged, and it matters only where nothing else refuses.
function isWorthReading(record: AgentRecord, evidence: Evidence): boolean {
  return isPushMode(record) && kindOf(evidence) === 'tpm' && record.attestationStatus === 'PASS'
}

function throwVerdict(error: unknown): void {
  if (error instanceof AttestError) throw error
}

// Of several verifiers the log must name the one that refuses, or whose opinion is worth nothing.
function nameVerifier(verifier: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof AttestError)) throw error
    throw new AttestError(error.reasons, { cause: error.cause, facts: { ...error.facts, verifier } })
  }
}

// The registrar knew the node, or there would be no proof: only the enrolment is missing.
function onlyRegistered(error: KeylimeError): KeylimeError {
  const message = `${error.message}; it is registered and its TPM has proved itself: enrol it with keylime_tenant -c add`
  return new KeylimeError(error.code, message, { cause: error, facts: error.facts })
}

/**
 * Holds the stream of a node that is not attested yet, and asks again, as long as `wait_for_attestation` allows.
 *
 * @param first What was found at once.
 * @param options How long, and how to ask again.
 * @param stream Its signal ends the wait: nobody waits for a caller that has gone.
 * @returns The standing that ends the wait: admitted, a verdict, or the last one found.
 * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: still nobody knows the node; or a failure of every verifier.
 *   `KEYLIME_QUOTE_REJECTED`: meanwhile the ID was given to another TPM.
 */
export async function waitForStanding(
  first: Standing,
  options: WaitOptions,
  stream: Pick<AttestStream, 'signal' | 'log'>,
): Promise<KnownStanding> {
  const { agentId, waitMs, held, proveAgain } = options
  if (waitMs <= 0 || !isWorthWaiting(first) || !held.enter(agentId)) return requireKnown(first)
  try {
    const standing = requireKnown(await askUntilSettled(first, options, stream.signal, stream.log))
    if (standing.decision.kind !== 'admit') return standing
    await withDeadline(stream.signal, LOOK_LIMIT_MS, ({ signal }) => proveAgain(signal))
    return standing
  } finally {
    held.leave(agentId)
  }
}

async function askUntilSettled(
  first: Standing,
  { agentId, waitMs, sleep, ask }: WaitOptions,
  signal: AbortSignal,
  log: AttestStream['log'],
): Promise<Standing> {
  log.info('Node is not attested yet, waiting', { agent_id: agentId, wait_ms: waitMs, clauses: whyNot(first) })
  const began = performance.now()
  let last = first
  let waited = 0
  let pause = FIRST_PAUSE_MS
  for (let limit = limitOf(last, waitMs); waited < limit && isWorthWaiting(last); limit = limitOf(last, waitMs)) {
    const slept = Math.min(pause, limit - waited)
    await sleep(slept, signal)
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5)
    last = await withDeadline(signal, LOOK_LIMIT_MS, ask)
    // A look counts too: a slow verifier must not make five minutes half an hour.
    waited = Math.max(waited + slept, performance.now() - began)
  }
  return last
}

function limitOf(standing: Standing, waitMs: number): number {
  return standing.kind === 'unknown' ? Math.min(UNKNOWN_WAIT_MS, waitMs) : waitMs
}

// Evidence of the wrong kind stays that, and a verdict stays a verdict.
function isWorthWaiting(standing: Standing): boolean {
  if (standing.kind === 'unknown') return true
  const { decision } = standing
  return decision.kind === 'not-yet' && !decision.reasons.some(({ code }) => code === 'KL-GATE-PUSH-MODE')
}

function whyNot(standing: Standing): string {
  if (standing.kind === 'unknown') return standing.error.message
  return standing.decision.kind === 'admit' ? '' : inWords(standing.decision.reasons)
}

function requireKnown(standing: Standing): KnownStanding {
  if (standing.kind === 'unknown') throw standing.error
  return standing
}
