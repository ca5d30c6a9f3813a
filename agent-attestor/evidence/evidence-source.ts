/**
 * Where a node's evidence comes from: its Keylime agent, or its TPM itself.
 *
 * @module
 */
import type { Challenge, ChallengeResponse, Payload } from '@tower-of-omens/keylime/evidence'

/** A source of evidence for one configuration. */
export interface EvidenceSource {
  /** The source in the words of messages, such as `keylime agent 127.0.0.1:9002`. */
  readonly name: string
  /**
   * Asks who this node is.
   *
   * @param signal Ends this call.
   * @returns What the payload says.
   * @throws {NodeError} @throws {KeylimeError} It cannot be told; `status.ts` maps each.
   */
  claim(signal: AbortSignal): Promise<Payload<string>>
  /**
   * Has the TPM quote.
   *
   * @param challenge The server half's, parsed.
   * @param signal Ends this call.
   * @returns What the response says.
   * @throws {NodeError} @throws {KeylimeError} There is no quote; `status.ts` maps each.
   */
  answer(challenge: Challenge, signal: AbortSignal): Promise<ChallengeResponse>
}
