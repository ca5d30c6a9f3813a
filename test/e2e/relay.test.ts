// A relay: somebody with a trusted certificate has another host's Keylime agent quote, and says the quote is his own.
import { existsSync, readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { type AttestOutcome, attestOverSocket } from '../lab/services/attest-call.ts'
import type { SpireServer } from '../lab/services/spire-server.ts'
import { refusalsIn, startAndAttest, startHost } from './host.ts'

const goDir = process.env.GO_PLUGIN_DIR ?? ''
const goServer = join(goDir, 'keylime-attestor-server')
const b64 = (text: string): string => Buffer.from(text).toString('base64')

describe('a host whose Keylime agent answers whoever holds a trusted certificate', () => {
  let rig: Rig

  beforeAll(async () => {
    rig = await startHost({ name: 'relay', evidence: 'tpm', quoteInterval: 1 })
    await rig.enrol()
  }, 300_000)
  afterAll(() => rig.stop(), 60_000)

  /** Asks the real Keylime agent for an identity quote, as the relay does. */
  function relayed(nonce: string): Promise<{ readonly quote: string; readonly pubkey?: string }> {
    return new Promise((resolve, reject) => {
      request(
        {
          host: '127.0.0.1',
          port: rig.pullAgent().port,
          path: `/v2.5/quotes/identity?nonce=${nonce}`,
          ca: readFileSync(rig.pullAgent().certFile),
          cert: readFileSync(join(rig.dir, 'plugin.crt')),
          key: readFileSync(join(rig.dir, 'plugin.key')),
        },
        (answer) => {
          let text = ''
          answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
          answer.on('end', () => resolve((JSON.parse(text) as { results: { quote: string } }).results))
        },
      )
        .once('error', reject)
        .end()
    })
  }

  function relay(server: SpireServer): Promise<AttestOutcome> {
    return attestOverSocket(server.socketPath, {
      payload: Buffer.from(JSON.stringify({ AgentID: b64(rig.agentId), HashAlg: b64('sha256') })),
      answer: async (challenge) => {
        const { Nonce } = JSON.parse(challenge.toString()) as { Nonce: string }
        const { quote, pubkey } = await relayed(Buffer.from(Nonce, 'base64').toString())
        return Buffer.from(
          JSON.stringify({ TPMQuote: b64(quote), ...(pubkey === undefined ? {} : { PubKey: b64(pubkey) }) }),
        )
      },
    })
  }

  it('can be spoken for from elsewhere while identity quotes are accepted, up to the CSR [tpm:e2e:relay]', async () => {
    expect((await relay(rig.spireServer)).details).toMatch(/CSR/)
  })

  it('can no longer where accept_evidence = ["tpm"], and attests itself [tpm:e2e:relay]', async () => {
    const server = await rig.newServer({ name: 'tpm-only', plugin: { data: { accept_evidence: ['tpm'] } } })
    await server.start()
    expect(await relay(server)).toEqual({
      code: 'FAILED_PRECONDITION',
      details: expect.stringContaining('[KL-EVIDENCE-NOT-ACCEPTED]') as string,
    })
    const agent = await rig.newAgent(server, { name: 'tpm-only' })
    await startAndAttest(agent)
    await agent.stop()
    await server.stop()
  }, 120_000)

  it.skipIf(!existsSync(goServer))(
    'attests at the Go server half too (skipped unless GO_PLUGIN_DIR holds it) [tpm:messages:older-halves]',
    async () => {
      await rig.keylime.admin.waitForState(rig.agentId, 'polled')
      const server = await rig.newServer({ name: 'go', plugin: { command: goServer } })
      await server.start()
      const agent = await rig.newAgent(server, { name: 'go' })
      await startAndAttest(agent)
      expect(refusalsIn(agent.readLog())).toEqual([])
      expect(agent.readLog()).toContain('server half is an older one')
      await agent.stop()
      await server.stop()
    },
    120_000,
  )
})
