import { createHmac } from 'node:crypto'
import { agentNodeAttestor, defineSchema, hclConfig, type PluginOptions } from '@tower-of-omens/spire-sdk'

interface Config {
  readonly id: string
  readonly word: string
}

const schema = defineSchema({
  id: { kind: 'string', required: true, help: 'Name of this node.' },
  word: { kind: 'string', required: true, help: 'What a node must know.' },
})

/** Agent NodeAttestor: the other half of shared-word-server. */
export const plugin: PluginOptions<Config> = {
  name: 'shared-word-agent',
  type: 'NodeAttestor',
  config: hclConfig(schema, ({ id, word }) => ({ id, word })),
  services: [
    agentNodeAttestor({
      async aidAttestation(stream, { id, word }) {
        await stream.sendPayload(Buffer.from(id))
        for (
          let nonce = await stream.receiveChallenge();
          nonce !== undefined;
          nonce = await stream.receiveChallenge()
        ) {
          await stream.respond(createHmac('sha256', word).update(nonce).digest())
        }
      },
    }),
  ],
}
