/**
 * The node's side of one Keylime attestation: who this node is, then its quote over the server's nonce.
 *
 * @module
 */
import { DEFAULT_AGENT_UUID } from '@tower-of-omens/keylime'
import { encodeChallengeResponse, encodePayload, parseChallenge } from '@tower-of-omens/keylime/evidence'
import type { AidAttestationStream } from '@tower-of-omens/spire-sdk'
import type { IdentitySource, KeylimeAgent } from './claimed-identity.ts'
import { waitForAgent } from './wait-for-agent.ts'

/** What one attestation needs, fixed when its stream opens: a later Configure does not reach it. */
export interface AidContext {
  readonly keylimeAgent: KeylimeAgent
  readonly identity: IdentitySource
  /** `wait_for_agent`, in milliseconds. */
  readonly waitForAgentMs: number
}

/**
 * Speaks for this node: sends its payload, then answers each challenge with a quote of its TPM.
 *
 * Everything the Keylime agent says goes to the server unjudged; only what the server sends is checked before it
 * reaches the Keylime agent. The verdict is the server's, so this half never says `PERMISSION_DENIED`.
 *
 * @param stream One `AidAttestation` call.
 * @param context The Keylime agent and what is configured about it.
 * @throws {RpcError} `FAILED_PRECONDITION`: the Keylime agent has another ID than `keylime_agent_uuid`, or does not
 *   tell it and none is configured.
 * @throws {KeylimeError} The Keylime agent cannot answer, or the challenge does not parse. `status.ts` maps each.
 * @see spire-plugin-sdk 13afea2, proto/spire/plugin/agent/nodeattestor/v1/nodeattestor.proto
 */
export async function aidAttestation(stream: AidAttestationStream, context: AidContext): Promise<void> {
  const { signal, log } = stream
  const wait = { waitMs: context.waitForAgentMs, signal, log }
  const payload = await waitForAgent(() => context.identity.get(signal), wait)
  if (payload.agentId === DEFAULT_AGENT_UUID) {
    log.warn(
      'Keylime agent has the default ID, which every unconfigured Keylime agent claims; set uuid = "hash_ek" there',
      {
        agent_id: payload.agentId,
      },
    )
  }
  await stream.sendPayload(encodePayload(payload))

  for (;;) {
    const challenge = await stream.receiveChallenge()
    if (challenge === undefined) return
    const { nonce } = parseChallenge(challenge)
    const { quote, pubkey } = await context.keylimeAgent.getIdentityQuote(nonce, { signal })
    await stream.respond(encodeChallengeResponse({ quote, pubkey }))
  }
}
