/**
 * An agent NodeAttestor whose configuration says how it behaves: written with the SDK, but for the answers that the
 * SDK does not let through.
 *
 * @module
 */

import { type BidiStream, serveBidi } from '../../../plugins/go-plugin/grpc/bidi.ts'
import type {
  Challenge,
  PayloadOrChallengeResponse,
} from '../../../plugins/spire-sdk/gen/spire/plugin/agent/nodeattestor/v1/nodeattestor.ts'
import { agentNodeAttestor, type PluginService, RpcError, servePlugin } from '../../../plugins/spire-sdk/index.ts'

const attestor = agentNodeAttestor<string>({
  async aidAttestation(stream, behaviour) {
    if (behaviour === 'says nothing') return
    if (behaviour === 'fails first') throw new Error('ohno')
    await stream.sendPayload(Buffer.from('payload'))
    if (behaviour === 'ignores challenges') return
    if (behaviour === 'fails after payload') throw new RpcError('UNAVAILABLE', 'keylime agent went away')
    for (;;) {
      const challenge = await stream.receiveChallenge()
      if (challenge === undefined) return
      if (behaviour === 'fails at challenge') throw new RpcError('UNAVAILABLE', 'no quote')
      await stream.respond(Buffer.from(behaviour === 'answers wrongly' ? 'foo' : 'challengeResponse'))
    }
  },
})

/** Plays the faults of a careless plugin. */
async function careless(stream: BidiStream<Challenge, PayloadOrChallengeResponse>, behaviour: string): Promise<void> {
  const payload = Buffer.from(behaviour === 'empty payload' ? '' : 'payload')
  await stream.send({ data: behaviour === 'no payload' ? undefined : { $case: 'payload', value: payload } })
  if ((await stream.receive()) === undefined) return
  await stream.send({ data: { $case: 'challengeResponse', value: Buffer.alloc(0) } })
}

const CARELESS = new Set(['no payload', 'empty payload', 'empty response'])

const service: PluginService<string> = {
  name: attestor.name,
  async bind(runtime) {
    const { definition, implementation } = await attestor.bind(runtime)
    const polite = implementation['aidAttestation']
    const behaviour = (): string => {
      const lease = runtime.slot.acquire()
      lease.release()
      return lease.config
    }
    const rude = serveBidi<Challenge, PayloadOrChallengeResponse>(
      (stream) => careless(stream, behaviour()),
      () => ({ code: 13, details: 'careless' }),
    )
    return {
      definition,
      implementation: {
        aidAttestation: (...call: unknown[]) => {
          let chosen: unknown = polite
          if (isCareless(behaviour)) chosen = rude
          if (typeof chosen === 'function') Reflect.apply(chosen, undefined, call)
        },
      },
    }
  },
}

function isCareless(behaviour: () => string): boolean {
  try {
    return CARELESS.has(behaviour())
  } catch {
    return false
  }
}

void servePlugin<string>({
  name: 'agent-attestor',
  type: 'NodeAttestor',
  config: { build: ({ hcl }) => ({ problems: [], config: hcl }) },
  services: [service],
})
