import { describe, expect, it } from 'vitest'
import { ConfigClient } from '../../../../plugins/spire-sdk/gen/spire/service/common/config/v1/config.ts'
import {
  type ConfigBuilder,
  type ConfigOutcome,
  defineSchema,
  hclConfig,
  RpcError,
} from '../../../../plugins/spire-sdk/index.ts'
import { unary } from '../../../../plugins/spire-sdk/testing/index.ts'
import { serveInProcess } from '../in-process.ts'

const core = { trustDomain: 'example.org' }

interface Word {
  readonly word: string
  readonly trustDomain: string
}

const schema = defineSchema({ word: { kind: 'string', required: true, help: 'What a node must know' } })
const words = hclConfig(schema, ({ word }, { trustDomain }): Word => ({ word, trustDomain }))

async function configured<C>(builder: ConfigBuilder<C>) {
  const plugin = await serveInProcess<C>({ services: [], config: builder })
  const client = plugin.client(ConfigClient)
  return {
    plugin,
    configure: (hclConfiguration: string, coreConfiguration: typeof core | undefined = core) =>
      unary<object>((done) => client.configure({ coreConfiguration, hclConfiguration }, done)),
    validate: (hclConfiguration: string, coreConfiguration: typeof core | undefined = core) =>
      unary<{ valid: boolean; notes: string[] }>((done) =>
        client.validate({ coreConfiguration, hclConfiguration }, done),
      ),
    withoutCore: () =>
      unary<object>((done) => client.configure({ coreConfiguration: undefined, hclConfiguration: '' }, done)),
    validateWithoutCore: () =>
      unary<object>((done) => client.validate({ coreConfiguration: undefined, hclConfiguration: '' }, done)),
  }
}

describe('Configure', () => {
  it('tells every problem at once, with line and column', async () => {
    const { plugin, configure } = await configured(words)
    await using _ = plugin
    await expect(configure('wrod = "x"\nother = 1')).rejects.toMatchObject({
      code: 3,
      details:
        '1:1: wrod: unknown key; did you mean "word"?; 1:1: word: required, but not set; 2:1: other: unknown key',
    })
  })

  it.each([
    [{ trustDomain: '' }, 'core configuration has no trust domain'],
    [
      { trustDomain: 'Example.org' },
      'trust domain "Example.org" is not valid: expected 1 to 255 of a-z, 0-9, ".", "-", "_"',
    ],
    [
      { trustDomain: 'example\uFFFD' },
      'trust domain "example\uFFFD" is not valid: expected 1 to 255 of a-z, 0-9, ".", "-", "_"',
    ],
  ])('refuses a core configuration that names no trust domain: %j', async (bad, details) => {
    const { plugin, configure } = await configured(words)
    await using _ = plugin
    await expect(configure('word = "x"', bad)).rejects.toMatchObject({ code: 3, details })
  })

  it('refuses a request without core configuration', async () => {
    const { plugin, withoutCore } = await configured(words)
    await using _ = plugin
    await expect(withoutCore()).rejects.toMatchObject({ code: 3, details: 'core configuration is required' })
  })

  it('logs warnings and takes the configuration', async () => {
    const { plugin, configure } = await configured({
      build: () => ({ problems: [], warnings: ['old key'], config: 1 }),
    })
    await using _ = plugin
    await expect(configure('')).resolves.toEqual({})
    expect(plugin.logs).toMatchObject([{ '@level': 'warn', '@message': 'Configuration warning', warning: 'old key' }])
  })

  it('answers "internal error" when the builder throws, and logs why', async () => {
    const { plugin, configure } = await configured({
      build: () => {
        throw new TypeError('oops')
      },
    })
    await using _ = plugin
    await expect(configure('')).rejects.toMatchObject({ code: 13, details: 'internal error' })
    expect(plugin.logs).toMatchObject([{ '@level': 'error', method: 'Configure', error: 'oops' }])
  })

  it('answers "internal error" when the builder returns nothing at all', async () => {
    const { plugin, configure } = await configured({ build: () => ({ problems: [] }) })
    await using _ = plugin
    await expect(configure('')).rejects.toMatchObject({ code: 13, details: 'internal error' })
    expect(plugin.logs).toMatchObject([
      { error: 'configuration builder returned neither a problem nor a configuration' },
    ])
  })

  it('lets the later of two calls win, however long each takes to build', async () => {
    const disposed: string[] = []
    const gates = new Map([
      ['first', Promise.withResolvers<void>()],
      ['second', Promise.withResolvers<void>()],
    ])
    const { plugin, configure } = await configured<string>({
      async build({ hcl }): Promise<ConfigOutcome<string>> {
        await gates.get(hcl)?.promise
        return { problems: [], config: hcl }
      },
      dispose: async (config) => void disposed.push(config),
    })
    await using _ = plugin
    const first = configure('first')
    const second = configure('second')
    gates.get('second')?.resolve()
    gates.get('first')?.resolve()
    await Promise.all([first, second])
    expect(disposed).toEqual(['first'])
  })

  it('keeps the old configuration in force when a new one is refused', async () => {
    const disposed: string[] = []
    const { plugin, configure } = await configured<string>({
      build: ({ hcl }) => ({ problems: hcl === 'bad' ? ['bad word'] : [], config: hcl }),
      dispose: async (config) => void disposed.push(config),
    })
    await using _ = plugin
    await configure('good')
    await expect(configure('bad')).rejects.toMatchObject({ code: 3, details: 'bad word' })
    expect(disposed).toEqual(['bad'])
  })

  it('logs a release that fails and goes on', async () => {
    const { plugin, configure } = await configured<string>({
      build: ({ hcl }) => ({ problems: [], config: hcl }),
      dispose: () => Promise.reject(new Error('still busy')),
    })
    await using _ = plugin
    await configure('a')
    await configure('b')
    expect(plugin.logs).toMatchObject([
      { '@level': 'error', '@message': 'Releasing a replaced configuration failed', error: 'still busy' },
    ])
  })
})

describe('Validate', () => {
  it('has no note for a usable configuration, for any note makes SPIRE call it invalid [C53]', async () => {
    const { plugin, validate } = await configured({ build: () => ({ problems: [], warnings: ['careful'], config: 1 }) })
    await using _ = plugin
    await expect(validate('')).resolves.toEqual({ valid: true, notes: [] })
  })

  it('has one note for each problem [C53]', async () => {
    const { plugin, validate } = await configured(words)
    await using _ = plugin
    await expect(validate('wrod = "x"\nword = "y"\nother = 1')).resolves.toEqual({
      valid: false,
      notes: ['1:1: wrod: unknown key; did you mean "word"?', '3:1: other: unknown key'],
    })
    await expect(validate('')).resolves.toEqual({ valid: false, notes: ['1:1: word: required, but not set'] })
    await expect(validate('word = ')).resolves.toMatchObject({ valid: false, notes: [expect.stringContaining('1:')] })
  })

  it('has a note when the core configuration is missing', async () => {
    const { plugin, validateWithoutCore } = await configured(words)
    await using _ = plugin
    await expect(validateWithoutCore()).resolves.toEqual({ valid: false, notes: ['core configuration is required'] })
  })

  it('releases what was built and puts nothing in force', async () => {
    const disposed: string[] = []
    const modes: string[] = []
    const { plugin, validate } = await configured<string>({
      build: ({ hcl }, { mode }) => {
        modes.push(mode)
        return { problems: [], config: hcl }
      },
      dispose: async (config) => void disposed.push(config),
    })
    await using _ = plugin
    await validate('tried')
    expect(disposed).toEqual(['tried'])
    expect(modes).toEqual(['validate'])
  })

  it('refuses the use of host services', async () => {
    const { plugin, validate } = await configured({
      async build(_request, { hosts }) {
        await hosts.metrics()
        return { problems: [], config: 1 }
      },
    })
    await using _ = plugin
    await expect(validate('')).rejects.toMatchObject({
      code: 9,
      details: 'host services may not be used while a configuration is validated',
    })
  })

  it('passes on a status that is not about the text', async () => {
    const { plugin, validate } = await configured({
      build: () => {
        throw new RpcError('UNAVAILABLE', 'try again')
      },
    })
    await using _ = plugin
    await expect(validate('')).rejects.toMatchObject({ code: 14, details: 'try again' })
  })
})
