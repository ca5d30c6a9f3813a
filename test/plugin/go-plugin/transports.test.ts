import { once } from 'node:events'
import { createConnection } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { ChannelCredentials } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { HealthClient } from '../../../plugins/go-plugin/gen/grpc/health/v1/health.ts'
import { newHclogLogger } from '../../../plugins/go-plugin/log/hclog.ts'
import type { GoPluginContext } from '../../../plugins/go-plugin/serve/server.ts'
import { newOwnCertificate } from '../../../plugins/go-plugin/tls/auto-mtls.ts'
import { type LaunchOptions, type PluginProcess, unary } from '../../../plugins/spire-sdk/testing/index.ts'
import { launchTrial, run } from './trial.ts'
import { trialServices } from './trial-actions.ts'
import { TrialClient } from './trial-service.ts'

const TRANSPORTS: readonly [string, Partial<LaunchOptions>][] = [
  ['a unix socket', {}],
  ['TCP', { env: { TRIAL_TRANSPORT: 'tcp' } }],
  ['AutoMTLS [C14] [C15]', { autoMtls: true }],
  ['one multiplexed connection [C12]', { multiplex: true }],
  ['one multiplexed connection with AutoMTLS [C12] [C15]', { multiplex: true, autoMtls: true }],
]

function hostContext(plugin: PluginProcess): GoPluginContext {
  return { broker: plugin.broker, log: newHclogLogger(() => undefined), protocolVersion: 1 }
}

async function askBrokered(plugin: PluginProcess, id: number, text: string): Promise<string> {
  const { target, credentials, options } = await plugin.broker.dial(id)
  const client = new TrialClient(target, credentials, options)
  try {
    const answer = await unary<{ text: string }>((done) => client.run({ action: 'echo', text }, done))
    return answer.text
  } finally {
    client.close()
  }
}

describe.each(TRANSPORTS)('a plugin over %s', (_title, options) => {
  it('answers calls and pings, and ends when asked', async () => {
    await using plugin = await launchTrial(options)
    expect(await run(plugin, { action: 'echo', text: 'hällo' })).toEqual({ text: 'hällo' })
    const health = await unary((done) => plugin.client(HealthClient).check({ service: 'plugin' }, done))
    expect(health).toEqual({ status: 1 })
    expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
  })

  it('reaches 20 services of the host at once by their numbers [C26] [C28]', async () => {
    await using plugin = await launchTrial(options)
    const ids = Array.from({ length: 20 }, (_, index) => index + 1)
    for (const id of ids) await plugin.serveHostServices(id, numbered(plugin, id))
    const asked = ids.map((id) => run(plugin, { action: 'dial', id, text: 'howdy' }))
    const answers = await Promise.all(asked)
    expect(answers.map((answer) => answer.text)).toEqual(ids.map((id) => `plugin(${id}: howdy)`))
  })

  it('serves the host under numbers of its own [C28]', async () => {
    await using plugin = await launchTrial(options)
    expect(await run(plugin, { action: 'nextId' })).toEqual({ text: '1' })
    for (const id of [3, 7]) await run(plugin, { action: 'accept', id })
    expect(await Promise.all([3, 7, 3].map((id) => askBrokered(plugin, id, `to ${id}`)))).toEqual([
      'to 3',
      'to 7',
      'to 3',
    ])
  })

  it('carries 16 MiB in both directions [C38]', { timeout: 60_000 }, async () => {
    await using plugin = await launchTrial(options)
    const text = 'x'.repeat(16 * 1024 * 1024)
    expect((await run(plugin, { action: 'echo', text })).text.length).toBe(text.length)
  })
})

function numbered(plugin: PluginProcess, id: number): ReturnType<typeof trialServices> {
  return trialServices({ ...hostContext(plugin) }, (text) => `${id}: ${text}`)
}

describe('a plugin with AutoMTLS', () => {
  it('shows a P-521 certificate in unpadded base64 [C14]', async () => {
    await using plugin = await launchTrial({ autoMtls: true })
    const { serverCert } = plugin.handshake
    expect(serverCert).toMatch(/^[A-Za-z0-9+/]{200,}$/)
  })

  it('refuses a host without a certificate, and one with another certificate [C14]', async () => {
    await using plugin = await launchTrial({ autoMtls: true })
    const { target, options } = plugin.connection
    const other = newOwnCertificate()
    const wrong = [
      ChannelCredentials.createInsecure(),
      ChannelCredentials.createSsl(other.cert, other.key, other.cert, { checkServerIdentity: () => undefined }),
    ]
    for (const credentials of wrong) {
      const client = new TrialClient(target, credentials, options)
      const call = unary((done) => client.run({ action: 'echo' }, { deadline: Date.now() + 3000 }, done))
      await expect(call).rejects.toMatchObject({
        code: expect.toSatisfy((code) => code === 14 || code === 4) as number,
      })
      client.close()
    }
    expect(await run(plugin, { action: 'echo', text: 'still there' })).toEqual({ text: 'still there' })
  })

  it('drops a connection of another certificate during the TLS handshake [C14]', async () => {
    await using plugin = await launchTrial({ autoMtls: true })
    const other = newOwnCertificate()
    const socket = tlsConnect({
      path: plugin.handshake.address,
      key: other.key,
      cert: other.cert,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    })
    socket.on('error', () => undefined)
    // TLS 1.3 tells the client only after its own handshake: what matters is that nothing can be said on it.
    await once(socket.resume(), 'close')
    expect(socket.bytesRead).toBeLessThan(10_000)
    expect(await run(plugin, { action: 'echo', text: 'fine' })).toEqual({ text: 'fine' })
  })
})

describe('a plugin over TCP', () => {
  it('takes the first free port of the range', async () => {
    const env = { TRIAL_TRANSPORT: 'tcp', PLUGIN_MIN_PORT: '23100', PLUGIN_MAX_PORT: '23199' }
    await using first = await launchTrial({ env })
    await using second = await launchTrial({ env })
    const ports = [first, second].map((plugin) => Number(plugin.handshake.address.split(':')[1]))
    expect(first.handshake.address).toMatch(/^127\.0\.0\.1:231\d\d$/)
    expect(ports[1]).toBeGreaterThan(ports[0] ?? Infinity)
  })
})

describe('a plugin whose host does not multiplex', () => {
  it('is not disturbed by bytes that are no HTTP/2 [C37]', async () => {
    await using plugin = await launchTrial()
    const socket = createConnection({ path: plugin.handshake.address })
    socket.on('error', () => undefined)
    socket.write('GET / HTTP/1.1\r\n\r\n')
    socket.resume()
    await once(socket, 'close')
    expect(await run(plugin, { action: 'echo', text: 'fine' })).toEqual({ text: 'fine' })
  })
})

describe('a plugin that dials', () => {
  it.each([false, true])(
    'says which number nobody served within five seconds (multiplexed: %s) [C27]',
    async (multiplex) => {
      await using plugin = await launchTrial({ multiplex })
      await expect(run(plugin, { action: 'dial', id: 99 })).rejects.toMatchObject({
        code: 13,
        details: 'internal error',
      })
      const entry = plugin.logs.find((line) => line.message === 'RPC handler failed')
      expect(String(entry?.fields['error'])).toMatch(/^broker id 99: /)
    },
  )

  it('reaches a service announced long before, and again after that [C27]', async () => {
    await using plugin = await launchTrial()
    await plugin.serveHostServices(5, numbered(plugin, 5))
    await new Promise((resolve) => setTimeout(resolve, 5500))
    expect(await run(plugin, { action: 'dial', id: 5, text: 'late' })).toEqual({ text: 'plugin(5: late)' })
    expect(await run(plugin, { action: 'dial', id: 5, text: 'twice' })).toEqual({ text: 'plugin(5: twice)' })
  })
})
