import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { type FakeNode, newFakeNode } from '../fakes/fake-node.ts'
import type { FakeServer } from '../fakes/fake-server.ts'
import { answerWith, editResults, type Fault, nginxError } from '../fakes/faults.ts'
import { newTestPki } from '../fakes/pki.ts'
import { matching } from './matching.ts'
import { type Outcome, type ServerPlugin, startServerPlugin } from './server-plugin.ts'

const SECRET = 'SECRET-KEY-SHARE'
const MIB = 1024 * 1024
let keylime: FakeKeylime
let plugin: ServerPlugin
/** Gives up on a request after half a second; only asked what a time-out looks like. */
let impatient: ServerPlugin
let rows = 0

beforeAll(async () => {
  keylime = await startFakeKeylime({ ak: 'ec-p256' })
  plugin = await startServerPlugin({ hcl: keylime.serverHcl() })
  impatient = await startServerPlugin({ hcl: keylime.serverHcl({ request_timeout: '500ms' }) })
})
beforeEach(() => {
  keylime.verifier.clearFaults()
  keylime.registrar.clearFaults()
})
afterAll(async () => {
  await Promise.all([plugin.stop(), impatient.stop()])
  await keylime.close()
})

// A node of its own for each case, so that no cached registrar record or opinion hides a fault.
function freshNode(at: { readonly registrar?: boolean; readonly verifier?: boolean } = {}): FakeNode {
  const { tpm } = keylime.node()
  rows += 1
  const node = newFakeNode(`node-${rows}`, tpm)
  const record = { ek_tpm: tpm.ekTpm.toString('base64'), aik_tpm: tpm.akTpm.toString('base64') }
  if (at.registrar !== false) keylime.registrar.register({ agent_id: node.agentId, ...record })
  if (at.verifier !== false) keylime.verifier.enrol(node.agentId, tpm.akTpm, { v: SECRET })
  return node
}

// What differs only by the agent's ID or a port is the same text to an operator.
const generic = ({ message }: Outcome): string => message.replaceAll(/node-\d+/g, '<id>').replaceAll(/:\d+/g, ':<port>')

async function outcomeUnder(server: FakeServer, endpoint: string, fault: Fault): Promise<Outcome> {
  server.fail(endpoint, fault)
  const asked = fault.kind === 'hang' || fault.kind === 'stall' ? impatient : plugin
  const outcome = await asked.attest(freshNode())
  server.clearFaults()
  const after = await plugin.attest(freshNode())
  expect({ after: after.status, message: after.message }).toEqual({ after: 'OK', message: '' })
  return outcome
}

const jsonApi = (status: number, title: string): Fault => {
  const body = JSON.stringify({ errors: [{ status: String(status), title, detail: `${title} by policy` }] })
  return answerWith(status, body, 'application/json; charset=UTF-8')
}
const envelope = (code: number, status: string): Fault =>
  answerWith(code, JSON.stringify({ code, status, results: {} }), 'application/json')

const COMMON_FAULTS: readonly (readonly [string, Fault, string, RegExp])[] = [
  ['403 in JSON:API', jsonApi(403, 'Forbidden'), 'INTERNAL', /403/],
  ['401 in JSON:API', jsonApi(401, 'Unauthorized'), 'INTERNAL', /401/],
  ['409', envelope(409, 'Conflict'), 'INTERNAL', /409/],
  ['429', envelope(429, 'Too Many Requests'), 'UNAVAILABLE', /429/],
  ['500 without a body', answerWith(500), 'UNAVAILABLE', /500/],
  ['503', envelope(503, 'Service Unavailable'), 'UNAVAILABLE', /503/],
  ['502 in HTML from nginx', nginxError(502), 'UNAVAILABLE', /502.*(html|proxy|nginx)/i],
  ['400 in HTML from nginx', nginxError(400), 'INTERNAL', /proxy in front \(nginx\)/],
  ['404 in HTML from nginx', nginxError(404), 'INTERNAL', /404.*(html|proxy|nginx)/i],
  ['200 with HTML', answerWith(200, '<html>login</html>'), 'INTERNAL', /html|json/i],
  ['a redirect', answerWith(302, ''), 'INTERNAL', /302|redirect/],
  ['cut JSON', answerWith(200, '{"code": 200, "resul', 'application/json'), 'INTERNAL', /json/i],
  ['JSON of another shape', answerWith(200, '[1, 2]', 'application/json'), 'INTERNAL', /./],
  ['no results', answerWith(200, '{"code": 200}', 'application/json'), 'INTERNAL', /results/],
  ['50 MiB', { kind: 'pad', bytes: 50 * MIB }, 'INTERNAL', /byte|MiB|large|long/],
  ['an answer that never comes', { kind: 'hang' }, 'UNAVAILABLE', /500 ?ms/],
  ['an answer that stops half way', { kind: 'stall' }, 'UNAVAILABLE', /500 ?ms/],
  ['a reset', { kind: 'reset' }, 'UNAVAILABLE', /reset|closed/],
  ['a close', { kind: 'close' }, 'UNAVAILABLE', /closed|reset/],
  ['an answer cut by a close', { kind: 'truncate' }, 'UNAVAILABLE', /closed|reset|cut/],
]

describe.each(['verifier', 'registrar'] as const)('a faulty %s', (service) => {
  const seen = new Map<string, string>()

  it.each(COMMON_FAULTS)('%s ends in its own status and text [T93]', async (name, fault, status, message) => {
    const outcome = await outcomeUnder(keylime[service], 'agent', fault)
    seen.set(name, `${outcome.status.padEnd(20)} ${generic(outcome)}`)
    expect({ ...outcome, name }).toEqual({ name, status, message: matching(message) })
    expect(outcome.message).toContain(service)
    expect(outcome.message).not.toContain(SECRET)
  })

  it('is refused, and nothing is admitted, while it does not listen [T60]', async () => {
    await keylime[service].pause()
    const outcome = await plugin.attest(freshNode())
    await keylime[service].resume()
    seen.set('not listening', `${outcome.status.padEnd(20)} ${generic(outcome)}`)
    expect(outcome).toEqual({
      status: 'UNAVAILABLE',
      message: matching(new RegExp(`${service}.*refused`)),
    })
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
  })

  it('has a text of its own for each fault', () => {
    for (const [name, text] of seen) process.stdout.write(`${service.padEnd(10)} ${name.padEnd(30)} ${text}\n`)
    expect(new Set(seen.values()).size).toBe(seen.size)
  })
})

describe('a node that Keylime does not know', () => {
  it('learns which service does not know it [T93]', async () => {
    const verifier = await plugin.attest(freshNode({ verifier: false }))
    const registrar = await plugin.attest(freshNode({ registrar: false }))
    const both = await plugin.attest(freshNode({ registrar: false, verifier: false }))
    for (const outcome of [verifier, registrar, both]) {
      expect(outcome.status).toBe('FAILED_PRECONDITION')
      process.stdout.write(`${generic(outcome)}\n`)
    }
    expect(verifier.message).toMatch(/verifier/)
    expect(registrar.message).toMatch(/registrar/)
    expect(generic(verifier)).not.toBe(generic(registrar))
  })
})

describe('an answer about the wrong thing', () => {
  it('of the registrar, naming another agent, is refused', async () => {
    const outcome = await outcomeUnder(
      keylime.registrar,
      'agent',
      editResults((all) => ({ ...all, agent_id: 'other' })),
    )
    expect(outcome).toEqual({ status: 'INTERNAL', message: matching(/registrar.*agent/) })
  })

  it.each([
    ['without an AK', { aik_tpm: undefined }],
    ['with an AK that is null', { aik_tpm: null }],
    ['with an AK that is not base64', { aik_tpm: '***' }],
    ['with an AK that is cut', { aik_tpm: 'ARgAAQAL' }],
    ['without an EK', { ek_tpm: undefined }],
    ['with an EK that is cut', { ek_tpm: 'AToAAQALAAMAsgAg' }],
  ])('of the registrar, %s, is no verdict on the node', async (_name, change) => {
    const outcome = await outcomeUnder(
      keylime.registrar,
      'agent',
      editResults((all) => ({ ...all, ...change })),
    )
    expect(outcome).toEqual({
      status: 'INTERNAL',
      message: matching(/registrar|attestation key|endorsement key/),
    })
  })

  it.each([
    ['valid as text', { valid: '1' }],
    ['valid as 2', { valid: 2 }],
    ['no valid', {}],
  ])('of the verifier about a quote, with %s, never counts as valid', async (_name, results) => {
    const outcome = await outcomeUnder(
      keylime.verifier,
      'identity',
      editResults(() => results),
    )
    expect(outcome).toEqual({ status: 'INTERNAL', message: matching('verifier') })
  })
})

describe('the clock of the verifier', () => {
  it('must be told: without a Date header nothing counts as fresh', async () => {
    for (const date of [undefined, 'yesterday', '2026-11-24T19:00:00Z']) {
      const outcome = await outcomeUnder(keylime.verifier, 'agent', { kind: 'headers', headers: { date } })
      expect(outcome).toEqual({ status: 'FAILED_PRECONDITION', message: matching('KL-GATE-NO-CLOCK') })
    }
  })

  it('is not stopped by a cache in front, which hands out an old answer with its old date', async () => {
    const node = freshNode()
    const then = Math.floor(Date.now() / 1000) - 600
    keylime.verifier.set(node.agentId, { last_successful_attestation: then - 1 })
    const headers = { date: new Date(then * 1000).toUTCString(), age: '600' }
    keylime.verifier.fail('agent', { kind: 'headers', headers })
    const outcome = await plugin.attest(node)
    expect(outcome).toEqual({ status: 'FAILED_PRECONDITION', message: matching(/601 s old.*KL-GATE-STALE/) })
  })
})

describe('the way to Keylime', () => {
  afterAll(async () => {
    await plugin.configure(keylime.serverHcl())
  })

  it('names an expired certificate of the verifier and of the registrar', async () => {
    const expired = await keylime.ca.issue('server', { validity: 'expired' })
    const good = await keylime.ca.issue('server')
    for (const service of ['verifier', 'registrar'] as const) {
      keylime[service].setCertificate({ cert: expired.pem, key: expired.keyPem() })
      keylime[service].dropConnections()
      const outcome = await plugin.attest(freshNode())
      keylime[service].setCertificate({ cert: good.pem, key: good.keyPem() })
      expect(outcome).toEqual({ status: 'INTERNAL', message: matching(new RegExp(`${service}.*expired`)) })
    }
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
  })

  it('names the presented and the expected names when they differ [T25]', async () => {
    const other = await keylime.ca.issue('server', { dns: ['keylime.example'], ip: ['10.9.8.7'] })
    const good = await keylime.ca.issue('server')
    keylime.verifier.setCertificate({ cert: other.pem, key: other.keyPem() })
    keylime.verifier.dropConnections()
    const { status, message } = await plugin.attest(freshNode())
    expect(status).toBe('INTERNAL')
    for (const part of ['keylime.example', '10.9.8.7', '127.0.0.1']) expect(message).toContain(part)
    expect(
      await plugin.configure(keylime.serverHcl({ keylime_verifier_server_name: 'keylime.example' })),
    ).toMatchObject({
      status: 'OK',
    })
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    keylime.verifier.setCertificate({ cert: good.pem, key: good.keyPem() })
    keylime.verifier.dropConnections()
    await plugin.configure(keylime.serverHcl())
  })

  it('names the issuer that is missing when the CA file holds another one of the same name [P11]', async () => {
    const reissued = await keylime.pki.root('Keylime Certificate Authority')
    const file = keylime.pki.write('reissued.crt', reissued.pem)
    await plugin.configure(keylime.serverHcl({ keylime_tls_ca_cert_file: file }))
    const { status, message } = await plugin.attest(freshNode())
    expect(status).toBe('INTERNAL')
    expect(message).toContain('Keylime Certificate Authority')
  })

  it('says that the server does not trust our certificate, and who issued that [P07]', async () => {
    const stranger = await keylime.pki.root('Stranger CA')
    const pair = keylime.pki.writePair('stranger', await stranger.issue('client'))
    await plugin.configure(
      keylime.serverHcl({ keylime_tls_cert_file: pair.certFile, keylime_tls_key_file: pair.keyFile }),
    )
    const { status, message } = await plugin.attest(freshNode())
    expect(status).toBe('INTERNAL')
    expect(message).toContain('Stranger CA')
  })

  it('gives up on a port where nobody speaks TLS', async () => {
    const silent = createServer(() => undefined)
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    await plugin.configure(keylime.serverHcl({ keylime_verifier_port: port, request_timeout: '300ms' }))
    const outcome = await plugin.attest(freshNode())
    expect(outcome).toEqual({ status: 'UNAVAILABLE', message: matching(/verifier.*300 ?ms/) })
    silent.close()
  })

  it('names a plain HTTP server where TLS is expected', async () => {
    const plain = await startFakeKeylime({ ak: 'ec-p256' })
    const agent = await plain.startAgent(plain.node(), { tls: false })
    await plugin.configure(keylime.serverHcl({ keylime_verifier_port: agent.port }))
    const { status, message } = await plugin.attest(freshNode())
    expect({ status, message }).toEqual({ status: 'INTERNAL', message: matching(/verifier.*(TLS|HTTP)/) })
    await plain.close()
  })

  it('names a host that does not resolve', async () => {
    await plugin.configure(keylime.serverHcl({ keylime_verifier_host: 'keylime.invalid' }))
    const outcome = await plugin.attest(freshNode())
    expect(outcome).toEqual({ status: 'UNAVAILABLE', message: matching(/keylime\.invalid/) })
  })
})

describe('API versions', () => {
  it.each(['7.11', '7.12', '7.13', '7.14.0', '7.14.2', '7.14.3'] as const)(
    'speaks to Keylime %s [T82]',
    async (release) => {
      const other = await startFakeKeylime({ release, ak: 'ec-p256' })
      await plugin.configure(other.serverHcl())
      expect(await plugin.attest(other.node())).toMatchObject({ status: 'OK' })
      await plugin.configure(keylime.serverHcl())
      await other.close()
    },
  )

  it('names a Keylime without /verify/identity, and a push-mode verifier', async () => {
    for (const [options, message] of [
      [{ release: '7.10' }, /2\.1/],
      [{ pushMode: true }, /push/],
    ] as const) {
      const other = await startFakeKeylime({ ...options, ak: 'ec-p256' })
      await plugin.configure(other.serverHcl())
      const outcome = await plugin.attest(other.node())
      expect(outcome).toEqual({ status: 'FAILED_PRECONDITION', message: matching(message) })
      await plugin.configure(keylime.serverHcl())
      await other.close()
    }
  })

  it('negotiates again when verifier and registrar are upgraded or downgraded under it', async () => {
    for (const versions of [['2.1', '2.2'], ['2.4', '2.5', '2.6'], ['2.3']]) {
      keylime.verifier.setVersions(versions)
      keylime.registrar.setVersions(versions)
      expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    }
    const all = ['2.1', '2.2', '2.3', '2.4', '2.5', '2.6', '3.0']
    keylime.verifier.setVersions(all)
    keylime.registrar.setVersions(all)
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    expect(keylime.verifier.seen.filter((path) => path.startsWith('/v3'))).toEqual([])
  })
})

const refusedFiles = async (change: Readonly<Record<string, string>>): Promise<string> => {
  const { status, message } = await plugin.configure(keylime.serverHcl(change))
  expect(status).toBe('INVALID_ARGUMENT')
  const { valid, notes } = await plugin.validate(keylime.serverHcl(change))
  expect({ valid, notes: notes.join('; ') }).toEqual({ valid: false, notes: matching('keylime_tls') })
  return message
}

describe('Configure with certificate files', () => {
  it('refuses what cannot work, naming file and reason, and keeps the old configuration [T23] [P13] [P17]', async () => {
    const other = newTestPki()
    const root = await other.root('Other', { key: 'rsa-2048' })
    const leaf = await root.issue('client', { key: 'rsa-2048' })
    const expired = await root.issue('client', { validity: 'expired' })
    const encrypted = other.write('encrypted.pem', leaf.keyPem('encrypted'))
    const { certFile, keyFile } = other.writePair('good', leaf)
    const old = other.writePair('expired', expired)
    const empty = other.write('empty.pem', '')
    expect(await refusedFiles({ keylime_tls_key_file: `${other.folder}/missing` })).toContain('missing')
    expect(await refusedFiles({ keylime_tls_key_file: keyFile })).toMatch(/is not the key of/)
    expect(await refusedFiles({ keylime_tls_cert_file: certFile, keylime_tls_key_file: encrypted })).toMatch(
      /encrypted/,
    )
    expect(await refusedFiles({ keylime_tls_cert_file: old.certFile, keylime_tls_key_file: old.keyFile })).toMatch(
      /expired/,
    )
    expect(await refusedFiles({ keylime_tls_ca_cert_file: empty })).toContain('empty.pem')
    other.remove()
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
  })

  it.each(['pkcs8', 'sec1', 'pkcs1'] as const)('takes a key in %s [T23] [P17]', async (format) => {
    const key = format === 'pkcs1' ? 'rsa-2048' : 'ec-p256'
    const pair = keylime.pki.writePair(`client-${format}`, await keylime.ca.issue('client', { key }), format)
    const files = { keylime_tls_cert_file: pair.certFile, keylime_tls_key_file: pair.keyFile }
    expect(await plugin.configure(keylime.serverHcl(files))).toMatchObject({ status: 'OK' })
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    chmodSync(pair.keyFile, 0o600)
  })
})

describe('after all that', () => {
  it('is the same process, still attests, and has logged no secret and nothing a host would panic on', async () => {
    await plugin.configure(keylime.serverHcl())
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    expect(plugin.process.child.exitCode).toBeNull()
    expect(plugin.process.stdoutRest()).toBe('')
    expect(plugin.logs().filter(({ raw }) => raw.includes(SECRET))).toEqual([])
    expect(plugin.logs().filter(({ hostPanics }) => hostPanics)).toEqual([])
  })
})
