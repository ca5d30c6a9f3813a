/**
 * How a proved node stands with the verifier, now or within `wait_for_attestation`.
 *
 * @module
 */

import { AttestError, inWords, type Judgement, judge } from '@tower-of-omens/gate'
import { type Deadline, isKeylimeError, KeylimeError, withDeadline } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import type { AttestStream } from '@tower-of-omens/spire-sdk'
import type { Attestor } from './context.ts'
import { type NodeEvidence, type ProvedNode, proveAgain } from './proof.ts'
import type { Verifier } from './reading/clients.ts'

/** Is what one verifier says, and what the gate makes of it. */
export interface Standing {
  readonly verifier: string
  readonly record: AgentRecord
  readonly decision: Judgement
}

/** Is a standing, or that no verifier knows the node yet. */
export type Outcome =
  | { readonly standing: Standing; readonly evidence: NodeEvidence }
  | { readonly unknown: KeylimeError; readonly evidence: NodeEvidence }

/** First pause between two looks: the verifier's default quote interval. */
const FIRST_PAUSE_MS = 2_000
const LONGEST_PAUSE_MS = 5_000
/** Is how long a node is held that no verifier knows: anyone can register, and each look costs the verifiers a read. */
const UNKNOWN_WAIT_MS = 30_000
/** Bounds one look while waiting, its place in the queue included. */
const LOOK_LIMIT_MS = 30_000

/**
 * Asks the verifiers for a node's record and, where no opinion stands, for their opinion of its quote.
 *
 * Both come from the same verifier, and both after the proof.
 *
 * @param evidence The proved evidence.
 * @param node The proved node.
 * @param attestor Configuration and services.
 * @param deadline Limit of the attestation, or of one look while waiting.
 * @returns The standing, or that nobody knows the node.
 * @throws {AttestError} `KL-QUOTE-VERIFIER-REJECTED`, `KL-OPINION-SELF-CHECK`, `KL-BUSY`.
 * @throws {KeylimeError} No verifier could answer in time.
 */
export async function standingOf(
  evidence: NodeEvidence,
  node: ProvedNode,
  attestor: Attestor,
  { signal }: Deadline,
): Promise<Outcome> {
  try {
    const standing = await attestor.clients.verifiers.first(evidence.agentId, signal, (verifier) =>
      ask(verifier, evidence, node, attestor, signal).catch(saidBy(verifier.name)),
    )
    return { standing, evidence }
  } catch (error) {
    if (isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) return { unknown: onlyRegistered(error), evidence }
    throw error
  }
}

/** Asks one verifier both at once. A verdict in either answer stands when the other fails: nobody else is asked then. */
async function ask(
  verifier: Verifier,
  evidence: NodeEvidence,
  { registered, contested }: ProvedNode,
  { config }: Attestor,
  signal: AbortSignal,
): Promise<Standing> {
  const { agentId, hashAlg } = evidence
  const opinion = verifier.opinion.confirm(evidence, registered.akTpm, { signal, afresh: contested })
  // Until it is awaited.
  opinion.catch(() => undefined)
  const record = await verifier.reader.read(agentId, { signal }).catch(async (error: unknown) => {
    if (!isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) await opinion.catch(onlyRefusals)
    throw error
  })
  const decision = judge(record, hashAlg, config.gate)
  if (decision.kind !== 'refuse') {
    await opinion
    if (verifier.opinion.outlived(agentId, registered.akTpm, record.attestationCount ?? 0)) {
      await verifier.opinion.confirm(evidence, registered.akTpm, { signal })
    }
  }
  return { verifier: verifier.name, record, decision }
}

function onlyRefusals(error: unknown): void {
  if (error instanceof AttestError) throw error
}

/** Of several verifiers the log must name the one that refuses, or whose opinion is worth nothing. */
function saidBy(verifier: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof AttestError)) throw error
    throw new AttestError(error.reasons, { cause: error.cause, facts: { ...error.facts, verifier } })
  }
}

/** The registrar knew the node, or there would be no proof: only the enrolment is missing. */
function onlyRegistered(error: KeylimeError): KeylimeError {
  const message = `${error.message}; it is registered and its TPM has proved itself: enrol it with keylime_tenant -c add`
  return new KeylimeError(error.code, message, { cause: error, facts: error.facts })
}

/**
 * Holds the stream of a node that is not attested yet, and looks again, as long as `wait_for_attestation` allows.
 *
 * @param first What was found at once.
 * @param node The proved node.
 * @param attestor Configuration and services.
 * @param stream Its signal ends the wait: nobody waits for a caller that has gone.
 * @returns The standing that ends the wait: admitted, a verdict, or the last one found.
 * @throws {KeylimeError} `KEYLIME_AGENT_UNKNOWN`: still nobody knows the node; or a failure of every verifier.
 *   `KEYLIME_QUOTE_REJECTED`: meanwhile the ID was given to another TPM.
 */
export async function waitForStanding(
  first: Outcome,
  node: ProvedNode,
  attestor: Attestor,
  stream: Pick<AttestStream, 'signal' | 'log'>,
): Promise<Standing> {
  const { config, held } = attestor
  if (config.waitMs <= 0 || !isWorthWaiting(first) || !held.enter()) return settled(first)
  try {
    const standing = settled(await lookAgain(first, node, attestor, stream))
    if (standing.decision.kind !== 'admit') return standing
    await withDeadline(stream.signal, LOOK_LIMIT_MS, ({ signal }) => proveAgain(first.evidence, node, attestor, signal))
    return standing
  } finally {
    held.leave()
  }
}

async function lookAgain(
  first: Outcome,
  node: ProvedNode,
  attestor: Attestor,
  stream: Pick<AttestStream, 'signal' | 'log'>,
): Promise<Outcome> {
  const { waitMs } = attestor.config
  const { agentId } = first.evidence
  stream.log.info('Node is not attested yet, waiting', { agent_id: agentId, wait_ms: waitMs, clauses: whyNot(first) })
  const began = performance.now()
  let last = first
  let waited = 0
  let pause = FIRST_PAUSE_MS
  for (let limit = limitOf(last, waitMs); waited < limit && isWorthWaiting(last); limit = limitOf(last, waitMs)) {
    const slept = Math.min(pause, limit - waited)
    await attestor.sleep(slept, stream.signal)
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5)
    last = await withDeadline(stream.signal, LOOK_LIMIT_MS, (deadline) =>
      standingOf(first.evidence, node, attestor, deadline),
    )
    // A look counts too: a slow verifier must not make five minutes half an hour.
    waited = Math.max(waited + slept, performance.now() - began)
  }
  return last
}

function limitOf(outcome: Outcome, waitMs: number): number {
  return 'unknown' in outcome ? Math.min(UNKNOWN_WAIT_MS, waitMs) : waitMs
}

/** A push-mode node stays one, and a verdict stays a verdict. */
function isWorthWaiting(outcome: Outcome): boolean {
  if ('unknown' in outcome) return true
  const { decision } = outcome.standing
  if (decision.kind !== 'not-yet') return false
  return !decision.reasons.some(({ code }) => code === 'KL-GATE-PUSH-MODE')
}

function whyNot(outcome: Outcome): string {
  if ('unknown' in outcome) return outcome.unknown.message
  const { decision } = outcome.standing
  return decision.kind === 'admit' ? '' : inWords(decision.reasons)
}

function settled(outcome: Outcome): Standing {
  if ('unknown' in outcome) throw outcome.unknown
  return outcome.standing
}
