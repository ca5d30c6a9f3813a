import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import type { FakeNode } from '../fakes/fake-node.ts'
import { type Outcome } from './half-process.ts'
import { matching } from './matching.ts'
import { keepAttesting, summary } from './outcomes.ts'
import { ServerPlugin } from './server-plugin.ts'

const NODES = 1000
let keylime: FakeKeylime
let plugin: ServerPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ nodes: NODES, tpms: 4, ak: 'ec-p256' })
  plugin = await ServerPlugin.start({ hcl: keylime.serverHcl() })
})
beforeEach(async () => {
  for (const server of [keylime.verifier, keylime.registrar]) {
    server.clearFaults()
    server.resetStats()
  }
  await plugin.configure(keylime.serverHcl())
})
afterAll(async () => {
  await plugin.stop()
  await keylime.close()
})

describe('how often the verifier is asked', () => {
  it('three times for an AK it sees first, once in the steady state', async () => {
    const node = keylime.node()
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    expect(keylime.verifier.stats.requests).toMatchObject({ identity: 2, agent: 1 })
    keylime.verifier.resetStats()
    keylime.registrar.resetStats()
    for (let round = 0; round < 20; round += 1) expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    expect(keylime.verifier.stats.requests).toEqual({ agent: 20 })
    expect(keylime.verifier.stats.connections).toBe(0)
  })

  it('hardly ever in a storm, and still refuses each node that deserves it', async () => {
    const paced = await startFakeKeylime({ nodes: NODES, tpms: 2, ak: 'ec-p256', paced: true })
    await plugin.configure(paced.serverHcl())
    const all = paced.nodes
    // So few at a time that each key is checked at once: while many come that is put off.
    for (let from = 0; from < NODES; from += 5) {
      await Promise.all(all.slice(from, from + 5).map((node) => plugin.attest(node)))
    }
    paced.verifier.resetStats()
    const [failed, unknown, pending, stranger] = [paced.node(10), paced.node(20), paced.node(30), paced.node(41)]
    paced.verifier.set(failed.agentId, { operational_state: 9 })
    paced.verifier.remove(unknown.agentId)
    paced.verifier.set(pending.agentId, { operational_state: 1 })
    const outcomes = await Promise.all(
      all.map((node) => plugin.attest(node, node === stranger ? { knobs: { signer: paced.node(40).tpm } } : {})),
    )
    const of = (node: FakeNode): string | undefined => outcomes[all.indexOf(node)]?.status
    expect([failed, unknown, pending, stranger].map(of)).toEqual([
      'PERMISSION_DENIED',
      'FAILED_PRECONDITION',
      'FAILED_PRECONDITION',
      'PERMISSION_DENIED',
    ])
    expect(outcomes.filter(({ status }) => status === 'OK')).toHaveLength(NODES - 4)
    const { agent = 0, identity = 0, bulk = 0, agents = 0 } = paced.verifier.stats.requests
    expect(identity).toBe(0)
    // The goal is a tenth for 5,000 nodes; with fewer, the first single reads weigh more, and most when they come slowly.
    expect(agent + bulk + agents).toBeLessThanOrEqual(NODES * 0.2)
    await paced.close()
  }, 120_000)

  it('reads the record after the proof, never before: a node that turns bad while it quotes is refused', async () => {
    const node = keylime.node(7)
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    const outcome = await plugin.attest(node, {
      answer: (challenge) => {
        keylime.verifier.set(node.agentId, { operational_state: 9 })
        return node.respond(challenge)
      },
    })
    keylime.verifier.set(node.agentId, { operational_state: 3 })
    expect(outcome).toEqual({ status: 'PERMISSION_DENIED', message: matching('INVALID_QUOTE') })
  })
})

describe('every check, also in the steady state', () => {
  // Speed buys nothing away: with all caches warm, each of these still refuses.
  it('is made at each attestation', async () => {
    const [node, other] = [keylime.node(1), keylime.node(2)]
    const good = { operational_state: 3, attestation_count: 23, last_successful_attestation: undefined }
    const quotes = [
      ['signature', { afterSigning: (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.of(7)]) }],
      ['signer', { qualifiedSigner: other.tpm.akQualifiedName }],
      ['nonce', { extraData: Buffer.from('A'.repeat(32)) }],
      ['selection', { pcrs: [16, 23] }],
      ['digest', { pcrDigest: Buffer.alloc(32) }],
      ['bound key', { pcrValues: new Map([[16, Buffer.alloc(32, 1)]]) }],
      ['other AK', { signer: other.tpm }],
    ] as const
    const records = [
      ['state', { operational_state: 10 }],
      ['count', { attestation_count: 0 }],
      ['age', { last_successful_attestation: 1_000_000_000 }],
      ['status', { attestation_status: 'FAIL' }],
      ['push', { ip: null, port: null }],
    ] as const
    const made: string[] = []
    const refuses = async (name: string, outcome: Promise<Outcome>): Promise<void> => {
      if ((await outcome).status !== 'OK') made.push(name)
      keylime.verifier.enrol(node.agentId, node.tpm.akTpm)
      expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    }
    for (const [name, knobs] of quotes) await refuses(name, plugin.attest(node, { knobs }))
    for (const [name, fields] of records) {
      keylime.verifier.enrol(node.agentId, node.tpm.akTpm, { ...good, ...fields })
      await refuses(name, plugin.attest(node))
    }
    expect(made).toEqual([...quotes, ...records].map(([name]) => name))
  })
})

describe('many at once', () => {
  it('1,000 streams all get their own node', async () => {
    const outcomes = await Promise.all(keylime.nodes.map((node) => plugin.attest(node)))
    expect(summary(outcomes)).toEqual({ OK: NODES })
    expect(outcomes.map(({ attributes }) => attributes?.spiffeId)).toEqual(
      keylime.nodes.map(({ agentId }) => `spiffe://example.org/spire/agent/keylime/${agentId}`),
    )
  }, 120_000)

  it('callers that stop answering delay nobody, and leave nothing behind when they go', async () => {
    const walkedAway = new AbortController()
    let challenged = 0
    const silent = Array.from({ length: 500 }, (_, index) =>
      plugin.attest(keylime.node(index), {
        signal: walkedAway.signal,
        answer: () => {
          challenged += 1
          return new Promise<never>((_resolve, reject) => {
            walkedAway.signal.addEventListener('abort', () => reject(new Error('gone')))
          })
        },
      }),
    )
    const ended = Promise.allSettled(silent)
    await expect.poll(() => challenged, { timeout: 10_000 }).toBe(500)
    expect(summary(await Promise.all(keylime.nodes.slice(0, 100).map((node) => plugin.attest(node))))).toEqual({
      OK: 100,
    })
    walkedAway.abort()
    await ended
    expect(await plugin.attest(keylime.node())).toMatchObject({ status: 'OK' })
  }, 60_000)

  it('a verifier that hangs for some nodes does not delay the others beyond its time limit', async () => {
    await plugin.configure(keylime.serverHcl({ request_timeout: '3s' }))
    keylime.verifier.fail('agent', { kind: 'hang' }, 5)
    const outcomes = await Promise.all(keylime.nodes.slice(0, 30).map((node) => plugin.attest(node)))
    expect(outcomes.filter(({ status }) => status === 'UNAVAILABLE')).toHaveLength(5)
    expect(outcomes.filter(({ status }) => status === 'OK')).toHaveLength(25)
  })
})

describe('Configure during attestations', () => {
  it('never mixes the old and the new configuration in one attestation [C48]', async () => {
    const other = await startFakeKeylime({ nodes: 4, tpms: 4, ak: 'ec-p256' })
    const nodes = other.nodes
    for (const { agentId, tpm } of nodes) {
      // Both installations know the node, but each polls it at an address of its own.
      keylime.registrar.register({
        agent_id: agentId,
        ek_tpm: tpm.ekTpm.toString('base64'),
        aik_tpm: tpm.akTpm.toString('base64'),
      })
      keylime.verifier.enrol(agentId, tpm.akTpm, { ip: '10.0.0.1' })
      other.verifier.set(agentId, { ip: '10.0.0.2' })
    }
    const configurations = [
      { hcl: keylime.serverHcl(), trustDomain: 'one.test' },
      { hcl: other.serverHcl(), trustDomain: 'two.test' },
    ]
    await plugin.configure(keylime.serverHcl(), 'one.test')
    const load = keepAttesting(
      plugin,
      Array.from({ length: 100 }, (_, index) => nodes[index % 4] ?? keylime.node()),
    )
    for (let round = 1; round <= 20; round += 1) {
      const { hcl, trustDomain } = configurations[round % 2] ?? configurations[0] ?? { hcl: '', trustDomain: '' }
      expect(await plugin.configure(hcl, trustDomain)).toMatchObject({ status: 'OK' })
      const before = load.done()
      await expect.poll(() => load.done(), { timeout: 20_000 }).toBeGreaterThan(before + 20)
    }
    const outcomes = await load.stop()
    const pairs = outcomes.map(({ status, message, attributes }) => {
      const [, domain] = /^spiffe:\/\/([^/]+)/.exec(attributes?.spiffeId ?? '') ?? []
      const ip = attributes?.selectorValues.find((value) => value.startsWith('ip:'))
      return `${status} ${message} ${domain} ${ip}`
    })
    expect([...new Set(pairs)].toSorted()).toEqual(['OK  one.test ip:10.0.0.1', 'OK  two.test ip:10.0.0.2'])
    await other.close()
  }, 120_000)

  it('closes what the old configuration had open: 200 times, and no more descriptors than before', async () => {
    const descriptors = (): number => readdirSync(`/proc/${plugin.process.pid}/fd`).length
    const node = keylime.node()
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    const before = descriptors()
    for (let round = 0; round < 200; round += 1) {
      await plugin.configure(keylime.serverHcl())
      expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    }
    await expect.poll(descriptors, { timeout: 15_000 }).toBeLessThanOrEqual(before + 2)
  }, 120_000)

  it('keeps the old configuration when the new one is wrong', async () => {
    const outcome = await plugin.configure('keylime_verifer_host = "x"')
    expect(outcome).toEqual({
      status: 'INVALID_ARGUMENT',
      message: matching(/1:1.*keylime_verifer_host.*did you mean "keylime_verifier_host"/),
    })
    expect(await plugin.attest(keylime.node())).toMatchObject({ status: 'OK' })
  })
})

describe('after all that', () => {
  it('is the same process and prints nothing but its handshake', () => {
    expect(plugin.process.child.exitCode).toBeNull()
    expect(plugin.process.stdoutRest()).toBe('')
  })
})
