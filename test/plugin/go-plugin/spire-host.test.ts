import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  aidAttestation,
  attestOnce,
  configure,
  deinitPlugin,
  HOST_SERVICES,
  initPlugin,
  launchPlugin,
  type PluginProcess,
  validate,
} from '../../../plugins/spire-sdk/testing/index.ts'

let plugin: PluginProcess
beforeAll(async () => {
  const file = new URL('./attestor-plugin.ts', import.meta.url).pathname
  plugin = await launchPlugin({
    command: process.execPath,
    args: [file],
    cookie: { key: 'NodeAttestor', value: 'NodeAttestor' },
  })
})
afterAll(async () => {
  await plugin.shutdown()
})

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

async function attest(payload: string): Promise<unknown> {
  const answer = (challenge: Uint8Array, index: number): Buffer =>
    bytes(`${index}: ${Buffer.from(challenge).toString()}`)
  return await attestOnce(plugin, {
    payload: bytes(payload),
    answer,
    metadata: { 'x-forwarded-client-ip': '192.0.2.1' },
  })
}

function challenges(texts: readonly string[]): Parameters<typeof aidAttestation>[1] {
  return { next: (_message, index) => (texts[index] === undefined ? undefined : bytes(texts[index])) }
}

describe('initPlugin', () => {
  it('offers the host services and hears what the plugin implements', async () => {
    const names = await initPlugin(plugin, HOST_SERVICES.server)
    expect(names[0]).toBe('spire.plugin.server.nodeattestor.v1.NodeAttestor')
    expect(names.slice(2)).toEqual(HOST_SERVICES.server)
  })
})

describe('configure', () => {
  it('hands over trust domain and text, and reports a refusal', async () => {
    await configure(plugin, { trustDomain: 'example.org', hcl: 'good' })
    const bad = configure(plugin, { trustDomain: 'example.org', hcl: 'bad' })
    await expect(bad).rejects.toMatchObject({ code: 3, details: 'bad config for example.org' })
  })
})

describe('validate', () => {
  it('returns the verdict and the notes', async () => {
    expect(await validate(plugin, { trustDomain: 'td', hcl: 'good' })).toEqual({ valid: true, notes: [] })
    expect(await validate(plugin, { trustDomain: 'td', hcl: '' })).toEqual({ valid: false, notes: ['bad config'] })
  })
})

describe('attestOnce', () => {
  it('answers every challenge and returns the attributes', async () => {
    expect(await attest('node')).toEqual({
      spiffeId: 'spiffe://td/node',
      selectorValues: ['0: challenge 0', '1: challenge 1', '2: challenge 2', '192.0.2.1'],
      canReattest: true,
    })
  })

  it('reports the status of a refusal, at once or after the challenges', async () => {
    await expect(attest('refuse')).rejects.toMatchObject({ code: 7, details: 'not today' })
    await expect(attest('late')).rejects.toMatchObject({ code: 9, details: 'too late' })
  })

  it('uses the words of SPIRE for a plugin that breaks the protocol', async () => {
    await expect(attest('end')).rejects.toThrow('plugin closed stream unexpectedly')
    await expect(attest('nothing')).rejects.toThrow('plugin response missing challenge or agent attributes')
  })

  it('ends the call when its signal aborts, and when the node walks away', async () => {
    const cancel = new AbortController()
    const answer = (): Promise<never> => {
      cancel.abort()
      return new Promise(() => undefined)
    }
    const walkedAway = attestOnce(plugin, {
      payload: bytes('node'),
      answer: () => Promise.reject(new Error('walked away')),
    })
    await expect(walkedAway).rejects.toThrow('walked away')
    const aborted = attestOnce(plugin, { payload: bytes('node'), answer, signal: cancel.signal })
    await expect(aborted).rejects.toMatchObject({ code: 1 })
    expect(plugin.logs).toEqual([])
  })
})

describe('aidAttestation', () => {
  it('collects the payload and the answer to every challenge', async () => {
    const { payload, responses } = await aidAttestation(plugin, challenges(['a', 'b']))
    expect(payload.toString()).toBe('payload')
    expect(responses.map(String)).toEqual(['answer to a', 'answer to b'])
  })

  it('uses the words of SPIRE for a plugin that breaks the protocol, and reports statuses', async () => {
    await expect(aidAttestation(plugin, challenges(['end']))).rejects.toThrow(
      'plugin closed stream before handling the challenge',
    )
    await expect(aidAttestation(plugin, challenges(['empty']))).rejects.toThrow(
      'plugin response missing challenge response',
    )
    await expect(aidAttestation(plugin, challenges(['refuse']))).rejects.toMatchObject({ code: 14, details: 'no TPM' })
  })
})

describe('deinitPlugin', () => {
  it('is answered, and the plugin serves on until it is shut down', async () => {
    await deinitPlugin(plugin)
    expect(await validate(plugin, { trustDomain: 'td', hcl: 'good' })).toEqual({ valid: true, notes: [] })
  })
})
