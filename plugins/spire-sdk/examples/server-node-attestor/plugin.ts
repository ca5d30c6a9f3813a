import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  agentSpiffeId,
  defineSchema,
  hclConfig,
  type PluginOptions,
  RpcError,
  serverNodeAttestor,
} from '@tower-of-omens/spire-sdk'

interface Config {
  readonly word: string
  readonly trustDomain: string
}

const schema = defineSchema({ word: { kind: 'string', required: true, help: 'What a node must know.' } })

/** Server NodeAttestor: admits every node that knows a shared word. */
export const plugin: PluginOptions<Config> = {
  name: 'shared-word-server',
  type: 'NodeAttestor',
  config: hclConfig(schema, ({ word }, { trustDomain }) => ({ word, trustDomain })),
  services: [
    serverNodeAttestor({
      async attest(stream, { word, trustDomain }) {
        const id = Buffer.from(await stream.receivePayload()).toString()
        const nonce = randomBytes(32)
        const answer = await stream.challenge(nonce)
        const expected = createHmac('sha256', word).update(nonce).digest()
        if (answer.length !== expected.length || !timingSafeEqual(answer, expected)) {
          throw new RpcError('PERMISSION_DENIED', 'node does not know the word')
        }
        return {
          spiffeId: agentSpiffeId(trustDomain, 'shared_word', id),
          selectorValues: [`id:${id}`],
          canReattest: true,
        }
      },
    }),
  ],
}
