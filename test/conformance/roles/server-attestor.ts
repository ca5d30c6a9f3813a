/**
 * A server NodeAttestor whose configuration is a version and whose payload says what to do: written with the SDK, but
 * for the answers that the SDK does not let through.
 *
 * @module
 */

import { type BidiStream, serveBidi } from '../../../plugins/go-plugin/grpc/bidi.ts'
import type {
  AttestRequest,
  AttestResponse,
} from '../../../plugins/spire-sdk/gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import {
  type AttestStream,
  defineSchema,
  hclConfig,
  type PluginService,
  RpcError,
  servePlugin,
  serverNodeAttestor,
} from '../../../plugins/spire-sdk/index.ts'

const schema = defineSchema({
  version: { kind: 'string', required: true, help: 'Which configuration this is' },
  port: { kind: 'port', default: 1, help: 'Any port' },
})

const AGENT = 'spiffe://example.org/spire/agent/test/foo'

const attestor = serverNodeAttestor<{ version: string }>({
  async attest(stream, config) {
    const before = config.version
    await followPayload(stream)
    const asked = Buffer.from(await stream.receivePayload()).toString()
    return {
      spiffeId: AGENT,
      selectorValues: asked.includes('selectors')
        ? ['value']
        : asked.includes('version')
          ? [before, config.version]
          : [],
      canReattest: asked.includes('reattest'),
    }
  },
})

async function followPayload(stream: AttestStream): Promise<void> {
  const asked = Buffer.from(await stream.receivePayload()).toString()
  if (asked === 'plain error') throw new Error('ohno')
  if (asked === 'status error') throw new RpcError('INVALID_ARGUMENT', 'attestation failed by test')
  for (const text of asked.includes('challenges') ? ['one', 'two', 'three'] : []) {
    const answer = Buffer.from(await stream.challenge(Buffer.from(text))).toString()
    if (answer !== text) throw new RpcError('INVALID_ARGUMENT', `expected response "${text}"; got "${answer}"`)
  }
}

/** Plays the faults of a careless plugin. */
async function careless(stream: BidiStream<AttestRequest, AttestResponse>): Promise<void> {
  const message = await stream.receive()
  const asked = message?.request?.value.toString()
  if (asked === 'neither') await stream.send({ response: undefined })
  if (asked === 'empty id') {
    const value = { spiffeId: '', selectorValues: [], canReattest: false }
    await stream.send({ response: { $case: 'agentAttributes', value } })
  }
}

/** Serves SDK code, or careless code, as the command line says. */
const service: PluginService<{ version: string }> = {
  name: attestor.name,
  async bind(runtime) {
    const bound = await attestor.bind(runtime)
    if (!process.argv.includes('--careless')) return bound
    const attest = serveBidi(careless, () => ({ code: 13, details: 'careless' }))
    return { definition: bound.definition, implementation: { attest } }
  },
}

void servePlugin({
  name: 'server-attestor',
  type: 'NodeAttestor',
  // Without a configuration for those cases that never configure it.
  config: hclConfig(schema, ({ version }) => ({ version })),
  services: [service],
})
