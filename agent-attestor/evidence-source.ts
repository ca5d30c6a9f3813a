/**
 * Where a node's evidence comes from: its Keylime agent, or its TPM itself.
 *
 * @module
 */
import type { Challenge, ChallengeResponse, ClaimedIdentity } from '@tower-of-omens/keylime/evidence'
import { RpcError } from '@tower-of-omens/spire-sdk'

/** A source of evidence for one configuration. */
export interface EvidenceSource {
  /** The source in the words of messages, such as `keylime agent 127.0.0.1:9002`. */
  readonly name: string
  /**
   * Asks who this node is.
   *
   * @param signal Ends this call.
   * @returns What the payload says.
   * @throws {RpcError} @throws {KeylimeError} It cannot be told; `status.ts` maps each.
   */
  claim(signal: AbortSignal): Promise<ClaimedIdentity>
  /**
   * Has the TPM quote.
   *
   * @param challenge The server half's, parsed.
   * @param signal Ends this call.
   * @returns What the response says.
   * @throws {RpcError} @throws {KeylimeError} There is no quote; `status.ts` maps each.
   */
  answer(challenge: Challenge, signal: AbortSignal): Promise<ChallengeResponse>
}

/** Refusal while the Keylime agent has not done its part yet, which a later attempt may find done. */
export class NotStartedYet extends RpcError {}
