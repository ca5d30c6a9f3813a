import { describe, expect, it } from 'vitest'
import { aidAttestation } from '../../../agent-attestor/aid-attestation.ts'
import type { AidContext } from '../../../agent-attestor/context.ts'
import { AgentEvidence } from '../../../agent-attestor/evidence/agent-evidence.ts'
import { IdentitySource, type KeylimeAgent } from '../../../agent-attestor/evidence/claimed-identity.ts'
import { AttestError } from '../../../plugins/gate/decision.ts'
import { KeylimeError } from '../../../plugins/keylime/basis/errors.ts'
import { parseAgentId } from '../../../plugins/keylime/basis/ids.ts'
import { encodeChallenge, parseChallengeResponse, parsePayload } from '../../../plugins/keylime/evidence/messages.ts'
import type { AidAttestationStream } from '../../../plugins/spire-sdk/index.ts'
import { newRecordingLog } from './recording-log.ts'

/** One conversation: what is asked of the Keylime agent and what is sent to SPIRE, in order. */
function conversation(challenges: readonly Uint8Array[], agent: Partial<KeylimeAgent> = {}, pinned?: string) {
  const events: string[] = []
  const waiting = [...challenges]
  const { log, lines } = newRecordingLog()
  const stream: AidAttestationStream = {
    signal: new AbortController().signal,
    log,
    hosts: {} as AidAttestationStream['hosts'],
    metadata: { get: () => undefined },
    sendPayload: async (bytes) => {
      const { agentId, hashAlg } = parsePayload(bytes)
      events.push(`payload ${agentId} ${hashAlg}`)
    },
    receiveChallenge: async () => {
      events.push('listen')
      return waiting.shift()
    },
    respond: async (bytes) => {
      const { quote, pubkey } = parseChallengeResponse(bytes)
      events.push(`respond ${quote} ${pubkey}`)
    },
  }
  const keylimeAgent: KeylimeAgent = {
    name: 'keylime agent 127.0.0.1:9002',
    hasInfo: async () => true,
    getInfo: async () => ({ agentId: parseAgentId('node-1'), hashAlg: 'sha256' }),
    getIdentityQuote: async (nonce) => {
      events.push(`quote ${nonce.length > 5 ? 'own nonce' : nonce}`)
      return { quote: `r${nonce}`, hashAlg: 'sha384', pubkey: 'PEM' }
    },
    ...agent,
  }
  const identity = new IdentitySource(keylimeAgent, pinned === undefined ? undefined : parseAgentId(pinned))
  const context: Omit<AidContext, 'close'> = { evidence: new AgentEvidence(keylimeAgent, identity), waitForAgentMs: 0 }
  return { run: () => aidAttestation(stream, context), events, lines }
}

async function refusalOf(run: () => Promise<void>): Promise<string> {
  try {
    await run()
    return 'ended'
  } catch (error) {
    return error instanceof AttestError || error instanceof KeylimeError
      ? `${error.code} ${error.message}`
      : String(error)
  }
}

describe('aidAttestation', () => {
  it('sends the payload first, then a quote for each challenge, until SPIRE has enough', async () => {
    const { run, events } = conversation([encodeChallenge({ nonce: 'AAAA' }), encodeChallenge({ nonce: 'BBBB' })])
    await run()
    expect(events).toEqual([
      'payload node-1 sha256',
      'listen',
      'quote AAAA',
      'respond rAAAA PEM',
      'listen',
      'quote BBBB',
      'respond rBBBB PEM',
      'listen',
    ])
  })

  it('asks no quote when SPIRE needs none', async () => {
    const { run, events } = conversation([])
    await run()
    expect(events).toEqual(['payload node-1 sha256', 'listen'])
  })

  it('sends nothing when the Keylime agent has another ID than configured', async () => {
    const { run, events } = conversation([], {}, 'node-7')
    await expect(refusalOf(run)).resolves.toMatch(
      /^KL-NODE-OTHER-ID keylime agent 127\.0\.0\.1:9002 has id node-1, expected node-7 \(keylime_agent_uuid\)/,
    )
    expect(events).toEqual([])
  })

  it('compares IDs byte for byte', async () => {
    const { run } = conversation([], {}, 'NODE-1')
    await expect(refusalOf(run)).resolves.toMatch(/has id node-1, expected NODE-1/)
  })

  it('learns the hash algorithm from a quote where the Keylime agent does not tell about itself', async () => {
    const { run, events } = conversation([], { hasInfo: async () => false }, 'node-7')
    await run()
    expect(events).toEqual(['quote own nonce', 'payload node-7 sha384', 'listen'])
  })

  it('leaves a failed quote to be told after the challenge was read', async () => {
    const { run, events } = conversation([encodeChallenge({ nonce: 'AAAA' })], {
      getIdentityQuote: async () => {
        throw new KeylimeError('KEYLIME_UNAVAILABLE', 'keylime agent answers 500')
      },
    })
    await expect(refusalOf(run)).resolves.toBe('KEYLIME_UNAVAILABLE keylime agent answers 500')
    expect(events).toEqual(['payload node-1 sha256', 'listen'])
  })

  it('sends no public key where the Keylime agent has none', async () => {
    const { run, events } = conversation([encodeChallenge({ nonce: 'AAAA' })], {
      getIdentityQuote: async () => ({ quote: 'rX', hashAlg: 'sha256' }),
    })
    await run()
    expect(events).toContain('respond rX undefined')
  })
})
