/**
 * The evidence behind a push-mode verifier's verdict: read from the verifier, and verified with the registrar's keys.
 *
 * @module
 */
import type { JudgedEvidence } from '@tower-of-omens/gate'
import { type AgentId, isKeylimeError, Limiter } from '@tower-of-omens/keylime'
import type { Attestation, RegistrarRecord } from '@tower-of-omens/keylime/api'
import { verifyJudgedQuote } from '@tower-of-omens/keylime/evidence'

/** What is asked of a verifier here; `AttestationsClient` fits. */
export interface AttestationSource {
  latest(agentId: AgentId, options: { readonly signal: AbortSignal }): Promise<Attestation>
  at(agentId: AgentId, index: number, options: { readonly signal: AbortSignal }): Promise<Attestation>
}

/** How many are read of one verifier at a time: each takes it 10 ms and more, and logs of megabytes ride along. */
const AT_A_TIME = 4
const JUDGED = 'verification_complete'

/** Reader of one verifier's judged evidence, which it verifies. */
export class JudgedEvidenceReader {
  readonly #source: AttestationSource
  readonly #limiter = new Limiter(AT_A_TIME)

  /** @param source The verifier. */
  constructor(source: AttestationSource) {
    this.#source = source
  }

  /**
   * Reads what was judged last.
   *
   * @param record The registrar's record: the keys that must have made it.
   * @param signal Ends the attestation.
   * @returns What came of it; never an error for what is in it.
   * @throws {KeylimeError} The verifier cannot answer. Of reason `queue-full`: too many wait.
   */
  async read(record: RegistrarRecord, signal: AbortSignal): Promise<JudgedEvidence> {
    try {
      return judgedOf(await this.#limiter.run(signal, () => this.#newestJudged(record.agentId, signal)), record)
    } catch (error) {
      if (!isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) throw error
      return { kind: 'pending', reason: 'it has none' }
    }
  }

  /** Sends away everybody who waits: the verifier has failed. @param error What each of them fails with. */
  release(error: unknown): void {
    this.#limiter.release(error)
  }

  // The newest one may be under way; then the one before it is what the record speaks of. A verifier forgets that one as
  // soon as the newest is judged, which may be between the two requests: then the newest is read again.
  async #newestJudged(agentId: AgentId, signal: AbortSignal): Promise<Attestation> {
    const latest = await this.#source.latest(agentId, { signal })
    if (latest.stage === JUDGED || latest.index === 0) return latest
    try {
      return await this.#source.at(agentId, latest.index - 1, { signal })
    } catch (error) {
      if (!isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) throw error
      return await this.#source.latest(agentId, { signal })
    }
  }
}

function judgedOf(attestation: Attestation, record: RegistrarRecord): JudgedEvidence {
  const { stage, evaluation, quote, evidenceReceivedAt, receivedAt } = attestation
  if (stage !== JUDGED) return { kind: 'pending', reason: `the newest is at stage ${stage}` }
  if (evaluation !== 'pass') return { kind: 'rejected', reason: `it was judged ${evaluation}` }
  if (quote === undefined) return { kind: 'rejected', reason: 'there is no TPM quote in it' }
  if (evidenceReceivedAt === undefined || receivedAt === undefined) {
    return { kind: 'rejected', reason: 'it does not say when it came' }
  }
  try {
    verifyJudgedQuote(quote, record)
  } catch (error) {
    if (!isKeylimeError(error, 'KEYLIME_QUOTE_REJECTED')) throw error
    return { kind: 'rejected', reason: error.message }
  }
  return { kind: 'proved', types: attestation.evidenceTypes, ageSeconds: receivedAt - evidenceReceivedAt }
}
