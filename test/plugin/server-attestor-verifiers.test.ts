import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { type FakeNode, newFakeNode } from '../fakes/fake-node.ts'
import type { FakeVerifier } from '../fakes/fake-verifier.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

let keylime: FakeKeylime
let plugin: ServerPlugin
let first: FakeVerifier
let second: FakeVerifier
let made = 0

beforeAll(async () => {
  keylime = await startFakeKeylime({ verifiers: 2, ak: 'ec-p256' })
  const [one, two] = keylime.verifiers
  if (one === undefined || two === undefined) throw new Error('two verifiers were asked for')
  first = one
  second = two
})
beforeEach(async () => {
  for (const verifier of keylime.verifiers) {
    verifier.clearFaults()
    verifier.resetStats()
  }
  plugin = await ServerPlugin.start({ hcl: hclWith({}) })
  return () => plugin.stop()
})
afterAll(() => keylime.close())

function hclWith(extra: Readonly<Record<string, string>>): string {
  const one = keylime.serverHcl({
    keylime_verifiers: keylime.verifiers.map(({ host, port }) => `${host}:${port}`),
    request_timeout: '2s',
    ...extra,
  })
  return one.replace(/^keylime_verifier_(host|port) = .*\n/gm, '')
}

function newNodeAt(...verifiers: readonly FakeVerifier[]): FakeNode {
  const { tpm } = keylime.node()
  made += 1
  const node = newFakeNode(`ha-${made}`, tpm)
  keylime.registrar.register({
    agent_id: node.agentId,
    ek_tpm: tpm.ekTpm.toString('base64'),
    aik_tpm: tpm.akTpm.toString('base64'),
  })
  for (const verifier of verifiers) verifier.enrol(node.agentId, tpm.akTpm)
  return node
}

describe('several verifiers', () => {
  it('are asked in order, and the one that knows a node first next time', async () => {
    const node = newNodeAt(second)
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    const asked = first.stats.requests['agent'] ?? 0
    expect(asked).toBeGreaterThan(0)
    for (let round = 0; round < 5; round += 1) expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    expect(first.stats.requests['agent']).toBe(asked)
    expect(second.stats.requests['agent']).toBe(6)
  })

  it('stand in for one that is down, within one attestation, and it is named in the log', async () => {
    const node = newNodeAt(first, second)
    await first.pause()
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    await first.resume()
    await expect
      .poll(() => plugin.logs('warn').some(({ raw }) => raw.includes(String(first.port))), { timeout: 10_000 })
      .toBe(true)
  })

  it.each(['hang', 'reset'] as const)('stand in for one whose connections %s', async (kind) => {
    const node = newNodeAt(first, second)
    first.fail('*', { kind })
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
  })

  it('give no verdict by not knowing a node while another cannot be asked', async () => {
    const node = newNodeAt(first)
    await first.pause()
    const outcome = await plugin.attest(node)
    await first.resume()
    expect(outcome).toEqual({ status: 'UNAVAILABLE', message: matching(String(first.port)) })
  })

  it('say that nobody knows the node when all were asked', async () => {
    const outcome = await plugin.attest(newNodeAt())
    expect(outcome).toEqual({ status: 'FAILED_PRECONDITION', message: matching('does not know') })
  })

  it('cannot outvote a verdict', async () => {
    const node = newNodeAt(first, second)
    first.set(node.agentId, { operational_state: 9 })
    expect(await plugin.attest(node)).toEqual({ status: 'PERMISSION_DENIED', message: matching('INVALID_QUOTE') })
    expect(second.stats.requests['agent'] ?? 0).toBe(0)
  })

  it('are each checked for gullibility', async () => {
    const node = newNodeAt(second)
    second.setGullible(true)
    const outcome = await plugin.attest(node)
    second.setGullible(false)
    expect(outcome).toEqual({ status: 'INTERNAL', message: matching('another nonce') })
  })

  it('take over for nodes that were attested before, with a new opinion', async () => {
    const node = newNodeAt(first)
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    first.remove(node.agentId)
    second.enrol(node.agentId, node.tpm.akTpm)
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    expect(second.stats.requests).toMatchObject({ identity: 2, agent: 1 })
  })

  it('that are slow delay no node of another one', async () => {
    const patient = keylime.serverHcl({
      keylime_verifiers: keylime.verifiers.map(({ host, port }) => `${host}:${port}`),
      request_timeout: '30s',
    })
    await plugin.configure(patient.replace(/^keylime_verifier_(host|port) = .*\n/gm, ''))
    const slow = Array.from({ length: 20 }, () => newNodeAt(first))
    const quick = Array.from({ length: 10 }, () => newNodeAt(second))
    for (const node of [...slow, ...quick]) expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    first.delay('agent', 5000)
    let ended = 0
    const waiting = slow.map((node) => plugin.attest(node).then((outcome) => (ended++, outcome)))
    await expect.poll(() => first.stats.requests['agent'] ?? 0, { timeout: 10_000 }).toBeGreaterThan(20)
    for (const outcome of await Promise.all(quick.map((node) => plugin.attest(node)))) {
      expect(outcome).toMatchObject({ status: 'OK' })
    }
    expect(ended).toBe(0)
    first.delay('agent', 0)
    for (const outcome of await Promise.all(waiting)) expect(outcome).toMatchObject({ status: 'OK' })
  }, 60_000)
})
