import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { type FakeNode, newFakeNode } from '../fakes/fake-node.ts'
import type { FakeServer } from '../fakes/fake-server.ts'
import { answerWith, editResults, type Fault, nginxError } from '../fakes/faults.ts'
import { type Outcome } from './half-process.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

const SECRET = 'SECRET-KEY-SHARE'
const MIB = 1024 * 1024
const EXPLAINED = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
let keylime: FakeKeylime
let plugin: ServerPlugin
/** Gives up on a request after half a second; only asked what a time-out looks like. */
let impatient: ServerPlugin
let rows = 0

beforeAll(async () => {
  keylime = await startFakeKeylime({ ak: 'ec-p256' })
  plugin = await ServerPlugin.start({ hcl: keylime.serverHcl() })
  impatient = await ServerPlugin.start({ hcl: keylime.serverHcl({ request_timeout: '500ms' }) })
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

/** A caller that has proved nothing reads the kind of failure alone; what an operator needs is in the log. */
async function inTheLog(asked: ServerPlugin, { agentId }: FakeNode, told: Outcome): Promise<Outcome> {
  expect(told.message).toMatch(/^keylime registrar, asked for agent node-\d+: .*; the SPIRE server's log says more \[/)
  expect(told.message).not.toMatch(/127\.0\.0\.1|CN=|sent was/)
  const find = () => asked.logs().find(({ fields }) => fields['agent_id'] === agentId && 'clauses' in fields)?.fields
  await expect.poll(find, { timeout: 10_000 }).toBeDefined()
  const line = find()
  return { status: told.status, message: `${String(line?.['clauses'])} [${String(line?.['code'])}]` }
}

async function outcomeUnder(server: FakeServer, endpoint: string, fault: Fault): Promise<Outcome> {
  server.fail(endpoint, fault)
  const asked = fault.kind === 'hang' || fault.kind === 'stall' ? impatient : plugin
  const node = freshNode()
  const told = await asked.attest(node)
  const outcome = server === keylime.registrar ? await inTheLog(asked, node, told) : told
  server.clearFaults()
  const after = await plugin.attest(freshNode())
  expect({ after: after.status, message: after.message }).toEqual({ after: 'OK', message: '' })
  // Every refusal ends in a code that docs/errors.md explains.
  const [, code = outcome.message] = /\[(KL-[A-Z-]+)\]$/.exec(outcome.message) ?? []
  expect(EXPLAINED).toContain(code)
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

  it.each(COMMON_FAULTS)('%s ends in its own status and text [T93] [T50]', async (name, fault, status, message) => {
    const outcome = await outcomeUnder(keylime[service], 'agent', fault)
    seen.set(name, `${outcome.status.padEnd(20)} ${generic(outcome)}`)
    expect({ ...outcome, name }).toEqual({ name, status, message: matching(message) })
    expect(outcome.message).toContain(service)
    expect(outcome.message).not.toContain(SECRET)
  })

  it('is refused, and nothing is admitted, while it does not listen [T60]', async () => {
    await keylime[service].pause()
    const node = freshNode()
    const told = await plugin.attest(node)
    const outcome = service === 'registrar' ? await inTheLog(plugin, node, told) : told
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
