import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { type AttestOutcome, attestOverSocket } from '../lab/services/attest-call.ts'
import { KeylimeAgent } from '../lab/services/keylime-agent.ts'
import { openStandInTpm } from '../lab/services/stand-in-tpm.ts'
import { Swtpm } from '../lab/services/swtpm.ts'
import { linesOf, startHost } from './host.ts'

let rig: Rig
/** Another machine's TPM, and its folder. */
let other: Swtpm
let dir: string

beforeAll(async () => {
  rig = await startHost({ name: 'impostor', quoteInterval: 1 })
  await rig.enrol()
  dir = join(rig.dir, 'other-tpm')
  mkdirSync(dir, { mode: 0o700 })
  other = await Swtpm.start(rig.processes, { dir, name: 'other-swtpm' })
})
afterAll(() => rig.stop())

const b64 = (text: string): string => Buffer.from(text).toString('base64')

interface Evidence {
  readonly quote: string
  readonly pubkey?: string
}

/** Attests as the agent half does, with a quote of the caller's choice. */
function attestWith(agentId: string, quoteOver: (nonce: string) => Promise<Evidence>): Promise<AttestOutcome> {
  const payload = Buffer.from(JSON.stringify({ AgentID: b64(agentId), HashAlg: b64('sha256') }))
  return attestOverSocket(rig.spireServer.socketPath, {
    payload,
    answer: async (challenge) => {
      const { Nonce } = JSON.parse(challenge.toString()) as { Nonce: string }
      const { quote, pubkey } = await quoteOver(Buffer.from(Nonce, 'base64').toString())
      const key = pubkey === undefined ? {} : { PubKey: b64(pubkey) }
      return Buffer.from(JSON.stringify({ TPMQuote: b64(quote), ...key }))
    },
  })
}

/** Asks the real Keylime agent for an identity quote, with the plugin's own client certificate. */
function identityQuote(nonce: string): Promise<Evidence> {
  return new Promise((resolve, reject) => {
    request(
      {
        host: '127.0.0.1',
        port: rig.pullAgent().port,
        path: `/v2.6/quotes/identity?nonce=${nonce}`,
        ca: readFileSync(rig.pullAgent().certFile),
        cert: readFileSync(join(rig.dir, 'plugin.crt')),
        key: readFileSync(join(rig.dir, 'plugin.key')),
      },
      (answer) => {
        let text = ''
        answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
        answer.on('end', () => resolve((JSON.parse(text) as { results: Evidence }).results))
      },
    )
      .once('error', reject)
      .end()
  })
}

describe('an attestation made by hand', () => {
  it('succeeds with the quote of the named node, up to the CSR, which we leave out on purpose', async () => {
    const outcome = await attestWith(rig.agentId, identityQuote)
    expect(outcome.details).toMatch(/CSR/)
  })

  it('is refused with a quote over another nonce, taken before: a replay [T62]', async () => {
    const earlier = await identityQuote('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')
    const outcome = await attestWith(rig.agentId, async () => earlier)
    expect(outcome).toEqual({ code: 'PERMISSION_DENIED', details: expect.stringContaining('nonce') as string })
  })

  it("is refused with a quote by another TPM's AK under the registered name [T14]", async () => {
    const tpm = openStandInTpm(other.tcti, dir)
    const { akTpm } = await tpm.identity()
    expect(akTpm).not.toBe((await rig.keylime.admin.registered(rig.agentId))?.akTpm.toString('base64'))
    const pubkey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })
    const outcome = await attestWith(rig.agentId, async (nonce) => ({
      quote: await tpm.quote(nonce, 0, pubkey),
      pubkey,
    }))
    expect(outcome).toEqual({ code: 'PERMISSION_DENIED', details: expect.stringMatching(/signature|signer/) as string })
  })

  it('gets nowhere with the files of a host on another machine: the registrar keeps the first TPM of an ID [T61]', async () => {
    const clone = KeylimeAgent.start(rig.processes, {
      dir: join(rig.dir, 'clone'),
      name: 'clone',
      tpm: other,
      registrar: { host: '127.0.0.1', port: rig.keylime.ports.registrar },
      uuid: rig.agentId,
      clientCaFiles: [join(rig.keylime.certDir, 'cacert.crt')],
    })
    await expect(clone).rejects.toThrow(/registrar answered 403/)
    expect((await attestWith(rig.agentId, identityQuote)).details).toMatch(/CSR/)
  })

  it('is refused when it names a node the registrar does not know', async () => {
    const stranger = createHash('sha256').update('stranger').digest('hex')
    const outcome = await attestWith(stranger, identityQuote)
    expect(outcome).toEqual({
      code: 'FAILED_PRECONDITION',
      details: expect.stringContaining('KL-AGENT-UNKNOWN') as string,
    })
    // A caller that has proved nothing learns little; the operator reads which node it was.
    expect(
      linesOf(
        rig.spireServer.process().readLog(),
        new RegExp(`KL-AGENT-UNKNOWN.*${stranger}|${stranger}.*KL-AGENT-UNKNOWN`),
      ),
    ).not.toEqual([])
  })

  it('reaches the plugin with 3.9 MiB, which refuses it in its own words; beyond 4 MiB SPIRE refuses [C62]', async () => {
    const send = (mebibytes: number): Promise<AttestOutcome> =>
      attestOverSocket(rig.spireServer.socketPath, {
        payload: Buffer.alloc(mebibytes * 2 ** 20, 0x20),
        answer: (challenge) => challenge,
      })
    const large = await send(3.9)
    expect(large).toEqual({
      code: 'INVALID_ARGUMENT',
      details: expect.stringMatching(/^nodeattestor\(keylime\): .*(65536|64 KiB)/) as string,
    })
    expect((await send(4.1)).code).toBe('RESOURCE_EXHAUSTED')
    // And neither has hurt anybody.
    expect((await attestWith(rig.agentId, identityQuote)).details).toMatch(/CSR/)
  })
})
