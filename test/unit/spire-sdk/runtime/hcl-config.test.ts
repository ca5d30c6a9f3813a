import { describe, expect, it } from 'vitest'
import { newHclogLogger } from '../../../../plugins/go-plugin/log/hclog.ts'
import { refusingHostServices } from '../../../../plugins/spire-sdk/host-services/host-services.ts'
import { type BuildContext, defineSchema, hclConfig } from '../../../../plugins/spire-sdk/index.ts'

const schema = defineSchema({
  word: { kind: 'string', required: true, help: 'What a node must know' },
  old_word: { kind: 'string', aliasOf: 'word', help: 'Former name' },
})

const context: BuildContext = {
  mode: 'configure',
  log: newHclogLogger(() => undefined),
  hosts: refusingHostServices(),
}

describe('hclConfig', () => {
  it('makes the configuration from decoded values, the request and the context', async () => {
    const builder = hclConfig(schema, ({ word }, { trustDomain }, { mode }) => `${word} ${trustDomain} ${mode}`)
    expect(await builder.build({ trustDomain: 'example.org', hcl: 'word = "sesame"' }, context)).toEqual({
      problems: [],
      warnings: [],
      config: 'sesame example.org configure',
    })
  })

  it('makes nothing when there are problems, and tells them as text with positions', async () => {
    let made = 0
    const builder = hclConfig(schema, () => ++made)
    const outcome = await builder.build({ trustDomain: 'example.org', hcl: 'other = 1' }, context)
    expect(outcome.problems).toEqual(['1:1: other: unknown key', '1:1: word: required, but not set'])
    expect('config' in outcome).toBe(false)
    expect(made).toBe(0)
  })

  it('passes warnings on', async () => {
    const builder = hclConfig(schema, ({ word }) => word)
    const outcome = await builder.build({ trustDomain: 'example.org', hcl: 'old_word = "sesame"' }, context)
    expect(outcome).toMatchObject({ problems: [], config: 'sesame' })
    expect(outcome.warnings).toEqual(['1:1: old_word: another name of "word"; write that'])
  })

  it('releases configurations as it is told, or not at all', async () => {
    const released: string[] = []
    const releasing = hclConfig(
      schema,
      ({ word }) => word,
      async (config) => void released.push(config),
    )
    await releasing.dispose?.('sesame')
    expect(released).toEqual(['sesame'])
    expect(hclConfig(schema, ({ word }) => word)).not.toHaveProperty('dispose')
  })
})
