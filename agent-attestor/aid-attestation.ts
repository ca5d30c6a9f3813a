/**
 * The node's side of one Keylime attestation: who this node is, then its quote over the server's nonce.
 *
 * @module
 */
import { DEFAULT_AGENT_UUID } from '@tower-of-omens/keylime'
import { encodeChallengeResponse, encodePayload, parseChallenge } from '@tower-of-omens/keylime/evidence'
import type { AidAttestationStream } from '@tower-of-omens/spire-sdk'
import type { AidContext } from './context.ts'
import { waitForAgent } from './wait-for-agent.ts'

/**
 * Speaks for this node: sends its payload, then answers each challenge with a quote of its TPM.
 *
 * Everything the Keylime agent says goes to the server unjudged; only what the server sends is checked before it
 * reaches the Keylime agent. The verdict is the server's, so this half never says `PERMISSION_DENIED`.
 *
 * @param stream One `AidAttestation` call.
 * @param context Where evidence comes from, and what is configured about it.
 * @throws {RpcError} `FAILED_PRECONDITION`: the Keylime agent has another ID than `keylime_agent_uuid`, or does not
 *   tell it and none is configured.
 * @throws {KeylimeError} The Keylime agent or the TPM cannot answer, or the challenge does not parse. `status.ts` maps each.
 * @see spire-plugin-sdk 13afea2, proto/spire/plugin/agent/nodeattestor/v1/nodeattestor.proto
 */
export async function aidAttestation(stream: AidAttestationStream, context: Omit<AidContext, 'close'>): Promise<void> {
  const { signal, log } = stream
  const wait = { waitMs: context.waitForAgentMs, signal, log }
  const payload = await waitForAgent(() => context.evidence.claim(signal), wait)
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
    const answer = await context.evidence.answer(parseChallenge(challenge), signal)
    await stream.respond(encodeChallengeResponse(answer))
  }
}
