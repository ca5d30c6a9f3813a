/**
 * What one attestation brought, beside what was asked.
 *
 * @module
 */
import type { HashAlg } from '@tower-of-omens/tpm'
import type { AgentId } from '../basis/ids.ts'
import type { ClaimedKeys } from './tpm-messages.ts'

/** Everything one attestation brought. */
export interface Evidence {
  readonly agentId: AgentId
  readonly hashAlg: HashAlg
  /** For a node that quotes by itself: base64 of what it signed. */
  readonly nonce: string
  /** In Keylime's string form. */
  readonly quote: string
  /** The Keylime agent's public key PEM, when it was sent. */
  readonly pubkey?: string | undefined
  /** What a node that quotes by itself was asked. */
  readonly bound?: BoundTask | undefined
}

/** What a quote of a node that quotes by itself must be. */
export interface BoundTask {
  /** The keys it claimed; proved by the registrar's record and by the credential alone. */
  readonly keys: ClaimedKeys
  /** From {@link boundNonce}. */
  readonly extraData: Uint8Array
  readonly bank: HashAlg
  readonly pcrs: readonly number[]
}
