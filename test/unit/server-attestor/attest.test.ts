import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { DEFAULT_AGENT_UUID, parseAgentId } from '../../../plugins/keylime/basis/ids.ts'
import { RpcError } from '../../../plugins/spire-sdk/wire/rpc-error.ts'
import { HeldNodes } from '../../../server-attestor/reading/held-nodes.ts'
import { type FakeKeylime, startFakeKeylime } from '../../fakes/fake-keylime.ts'
import { newFakeNode } from '../../fakes/fake-node.ts'
import { answerWith, type Fault, nginxError } from '../../fakes/faults.ts'
import { SoftwareTpm } from '../../fakes/software-tpm.ts'
import { holding, including, matching } from './expecting.ts'
import { type InProcess, noHosts, startInProcess } from './in-process.ts'

let keylime: FakeKeylime
let server: InProcess
const second = (): number => Math.floor(Date.now() / 1_000)
const healthy = () => ({
  operational_state: 3,
  attestation_count: 23,
  attestation_status: 'PASS',
  last_event_id: null,
  last_successful_attestation: second(),
  tpm_policy: '{"mask": "0x0"}',
  has_runtime_policy: 0,
  has_mb_refstate: 0,
})

beforeAll(async () => {
  keylime = await startFakeKeylime({ nodes: 4, verifiers: 2, ekCertificates: true })
  server = await startInProcess(keylime.serverHcl())
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await keylime.close()
})
beforeEach(() => {
  for (const one of [...keylime.verifiers, keylime.registrar]) {
    one.clearFaults()
    one.resetStats()
  }
  keylime.verifier.set(keylime.node().agentId, healthy())
  server.lines.length = 0
})

const both = (extra: Parameters<FakeKeylime['serverHcl']>[0] = {}): string =>
  keylime
    .serverHcl({ keylime_verifiers: keylime.verifiers.map(({ host, port }) => `${host}:${port}`), ...extra })
    .replace(/^keylime_verifier_(host|port) .*\n/gm, '')

describe('attest', () => {
  it('admits a healthy node, and writes one line that says so, without quote, nonce or key [T31] [T35]', async () => {
    const outcome = await server.attest(keylime.node(), { callerIp: '10.10.2.70' })
    expect(outcome).toMatchObject({ status: 'OK', attributes: { canReattest: true } })
    expect(server.logged('Node attested')).toEqual([
      {
        level: 'info',
        message: 'Node attested',
        fields: including({
          agent_id: keylime.node().agentId,
          caller_ip: '10.10.2.70',
          attestation_count: 23,
          selectors: holding('policy:none'),
        }),
      },
    ])
    expect(JSON.stringify(server.lines)).not.toMatch(/TPMQuote|BEGIN PUBLIC|\/1RDR|"nonce"/)
  })

  it('asks the verifier three times at first sight of a key and once afterwards', async () => {
    const node = keylime.node(1)
    await server.attest(node)
    const first = keylime.verifier.stats.requests
    expect([first['identity'], first['agent']]).toEqual([2, 1])
    keylime.verifier.resetStats()
    await server.attest(node)
    expect(keylime.verifier.stats.requests['identity'] ?? 0).toBe(0)
    expect(keylime.verifier.stats.requests['agent']).toBe(1)
  })

  it('asks for an opinion again when the node was enrolled again with another key since the last one', async () => {
    const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 53 })
    register('enrolled-twice', tpm)
    keylime.verifier.enrol('enrolled-twice', tpm.akTpm, { attestation_count: 9 })
    await using fresh = await startInProcess(keylime.serverHcl())
    const node = newFakeNode('enrolled-twice', tpm)
    expect(await fresh.attest(node)).toMatchObject({ status: 'OK' })
    const other = new SoftwareTpm({ ek: 'ec-p256', slot: 54 })
    keylime.verifier.enrol('enrolled-twice', other.akTpm, { attestation_count: 1 })
    expect(await fresh.attest(node)).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding('[KL-QUOTE-VERIFIER-REJECTED]'),
    })
  })

  it('asks for an opinion every time with verifier_opinion_ttl = "0s"', async () => {
    await using strict = await startInProcess(keylime.serverHcl({ verifier_opinion_ttl: '0s' }))
    for (const _ of [1, 2]) expect(await strict.attest(keylime.node())).toMatchObject({ status: 'OK' })
    expect(keylime.verifier.stats.requests['identity']).toBe(4)
  })

  it('names every clause in one line to the caller and in the log, with the next step [T32]', async () => {
    const node = keylime.node()
    keylime.verifier.set(node.agentId, { operational_state: 1, attestation_status: 'PENDING', attestation_count: 0 })
    const outcome = await server.attest(node)
    expect(outcome).toEqual({
      status: 'FAILED_PRECONDITION',
      message:
        `keylime agent ${node.agentId}: is not attested yet: state 1 START [KL-GATE-PENDING]; ` +
        'the verifier has not verified a single quote of it (attestation_count 0) [KL-GATE-COUNT-ZERO]; ' +
        'keylime reports attestation_status PENDING [KL-GATE-STATUS-PENDING]',
    })
    const [line] = server.logged('Node not attested yet')
    expect(line?.level).toBe('info')
    expect(line?.fields).toMatchObject({
      code: 'KL-GATE-PENDING',
      status: 'FAILED_PRECONDITION',
      verifier: `keylime verifier 127.0.0.1:${String(keylime.verifier.port)}`,
    })
    expect(line?.fields['next_step']).toContain('wait_for_attestation')
  })

  it('reads the record after the proof: a node that turns bad while it holds the challenge is refused', async () => {
    const node = keylime.node()
    const outcome = await server.attest(node, {
      answer: (challenge) => {
        keylime.verifier.set(node.agentId, { operational_state: 9, attestation_status: 'FAIL' })
        return node.respond(challenge)
      },
    })
    expect(outcome).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding('KL-GATE-INVALID-QUOTE'),
    })
    expect(server.logged('Node refused')[0]?.level).toBe('warn')
  })

  it('gives a message that does not parse its code', async () => {
    const outcome = await server.attest(keylime.node(), { payload: Buffer.from('{') })
    expect(outcome).toMatchObject({
      status: 'INVALID_ARGUMENT',
      message: holding('[KL-MESSAGE-MALFORMED]'),
    })
  })

  it('reports an unknown error as its own fault, and keeps its text to the log', async () => {
    server.change({
      now: () => {
        throw new TypeError('secret detail')
      },
    })
    await expect(server.attest(keylime.node(2))).rejects.toThrow(TypeError)
    server.change({ now: () => new Date() })
    expect(server.logged('Attestation failed')[0]?.fields).toMatchObject({ code: 'KL-INTERNAL', status: 'INTERNAL' })
  })

  it('gives up a node that does not answer the challenge within 30 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const challenged = Promise.withResolvers<void>()
    const attesting = server.attest(keylime.node(), {
      answer: () => {
        challenged.resolve()
        return new Promise<never>(() => undefined)
      },
    })
    await challenged.promise
    vi.advanceTimersByTime(30_000)
    vi.useRealTimers()
    expect(await attesting).toMatchObject({
      status: 'DEADLINE_EXCEEDED',
      message: holding('the attestation took longer than 30 s [KL-DEADLINE]'),
    })
  })

  describe('when the caller goes', () => {
    it('stops at once and calls it nobody’s fault', async () => {
      const caller = new AbortController()
      keylime.verifier.fail('agent', { kind: 'hang' })
      const attesting = server.attest(keylime.node(), { signal: caller.signal })
      await expect.poll(() => keylime.verifier.stats.requests['agent'] ?? 0).toBe(1)
      caller.abort()
      expect(await attesting).toMatchObject({ status: 'CANCELLED', message: holding('[KL-CANCELLED]') })
      expect(server.lines.filter((line) => line.level === 'error')).toEqual([])
    })
  })

  describe('when Keylime fails [T93] [T60]', () => {
    const table: readonly [string, 'verifier' | 'registrar', string, Fault, string, string, RegExp][] = [
      [
        '404 in the verifier',
        'verifier',
        'agent',
        answerWith(404, '{"code": 404, "status": "agent id not found", "results": {}}', 'application/json'),
        'FAILED_PRECONDITION',
        'KL-AGENT-UNKNOWN',
        /verifier/,
      ],
      [
        '404 in the registrar',
        'registrar',
        'agent',
        answerWith(404, '{"code": 404, "status": "Agent with ID \'x\' not found", "results": {}}', 'application/json'),
        'FAILED_PRECONDITION',
        'KL-AGENT-UNKNOWN',
        /registrar/,
      ],
      [
        '403',
        'verifier',
        'agent',
        answerWith(
          403,
          '{"errors":[{"status":"403","title":"Forbidden","detail":"Action read_agent requires authentication"}]}',
          'application/json',
        ),
        'INTERNAL',
        'KL-KEYLIME-REFUSED-US',
        /403/,
      ],
      [
        '401',
        'registrar',
        'agent',
        answerWith(401, '{"errors":[]}', 'application/json'),
        'INTERNAL',
        'KL-KEYLIME-REFUSED-US',
        /401/,
      ],
      ['500', 'verifier', 'agent', answerWith(500), 'UNAVAILABLE', 'KL-KEYLIME-UNAVAILABLE', /500/],
      ['502 of an nginx', 'registrar', 'agent', nginxError(502), 'UNAVAILABLE', 'KL-KEYLIME-UNAVAILABLE', /502/],
      ['429', 'verifier', 'agent', answerWith(429), 'UNAVAILABLE', 'KL-KEYLIME-UNAVAILABLE', /429/],
      ['a reset', 'verifier', 'agent', { kind: 'reset' }, 'UNAVAILABLE', 'KL-KEYLIME-UNREACHABLE', /verifier/],
      [
        'HTML with status 200',
        'verifier',
        'agent',
        answerWith(200, '<html>'),
        'INTERNAL',
        'KL-KEYLIME-BAD-ANSWER',
        /verifier/,
      ],
      [
        'a record without a state',
        'verifier',
        'agent',
        answerWith(200, '{"code":200,"status":"Success","results":{}}', 'application/json'),
        'INTERNAL',
        'KL-KEYLIME-BAD-ANSWER',
        /verifier/,
      ],
    ]
    it.each(table)(
      '%s: the status blames nobody wrongly, the message says what',
      async (_, which, endpoint, fault, status, code, words) => {
        const node = keylime.node(3)
        if (which === 'verifier') keylime.verifier.fail(endpoint, fault)
        else keylime.registrar.fail(endpoint, fault)
        await using fresh = await startInProcess(keylime.serverHcl())
        const outcome = await fresh.attest(node)
        expect(outcome).toMatchObject({ status, message: holding(`[${code}]`) })
        expect(outcome.message).toMatch(words)
        expect(outcome.attributes).toBeUndefined()
      },
    )

    it('a hung verifier ends in UNAVAILABLE after request_timeout', async () => {
      keylime.verifier.fail('agent', { kind: 'hang' })
      await using fresh = await startInProcess(keylime.serverHcl({ request_timeout: '200ms' }))
      expect(await fresh.attest(keylime.node())).toMatchObject({
        status: 'UNAVAILABLE',
        message: holding('[KL-KEYLIME-TIMEOUT]'),
      })
      expect(fresh.logged('Attestation failed')[0]?.level).toBe('error')
    })

    it('services too slow for one attestation end in UNAVAILABLE after 30 s', async () => {
      await using fresh = await startInProcess(keylime.serverHcl({ request_timeout: '30s' }))
      keylime.registrar.fail('agent', { kind: 'hang' })
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const attesting = fresh.attest(keylime.node())
      await expect.poll(() => keylime.registrar.stats.requests['agent'] ?? 0, { interval: 0 }).toBe(1)
      vi.advanceTimersByTime(29_990)
      await new Promise((resolve) => setImmediate(resolve))
      vi.advanceTimersByTime(10)
      vi.useRealTimers()
      expect(await attesting).toMatchObject({ status: 'UNAVAILABLE', message: holding('[KL-KEYLIME-TIMEOUT]') })
    })

    it('a certificate that is not trusted ends in INTERNAL and names the issuer that is missing [P12]', async () => {
      const other = keylime.pki.write('other-ca.crt', (await keylime.pki.root('another CA')).pem)
      await using fresh = await startInProcess(keylime.serverHcl({ keylime_tls_ca_cert_file: other }))
      const outcome = await fresh.attest(keylime.node())
      expect(outcome).toMatchObject({ status: 'INTERNAL', message: holding('[KL-KEYLIME-UNTRUSTED]') })
      expect(outcome.message).toBe(
        `keylime registrar, asked for agent ${keylime.node().agentId}: the issuer of the service's certificate is not in our CA file; the SPIRE server's log says more [KL-KEYLIME-UNTRUSTED]`,
      )
      expect(fresh.logged('Attestation failed')[0]?.fields['clauses']).toMatch(
        /keylime registrar 127\.0\.0\.1:.*Keylime Certificate Authority/,
      )
    })

    it('tells a caller that has proved nothing neither where Keylime is nor which certificate we show there', async () => {
      await using fresh = await startInProcess(keylime.serverHcl())
      const told: string[] = []
      for (const fault of [answerWith(403), nginxError(502), answerWith(200, '<html>')]) {
        keylime.registrar.fail('agent', fault)
        told.push((await fresh.attest(keylime.node())).message)
        keylime.registrar.clearFaults()
      }
      await keylime.registrar.pause()
      told.push((await fresh.attest(keylime.node())).message)
      await keylime.registrar.resume()
      for (const one of told) expect(one).toMatch(/^keylime registrar, asked for agent .*log says more \[KL-[A-Z-]+\]$/)
      expect(told.join('\n')).not.toMatch(/127\.|CN=|\.crt|sent was/)
      expect(fresh.logged('Attestation failed').map(({ fields }) => fields['clauses'])).toEqual(
        told.map(() => holding(`keylime registrar 127.0.0.1:${String(keylime.registrar.port)}`)),
      )
    })

    it('a verifier that speaks no version of ours is named', async () => {
      const results = { current_version: '9.0', supported_versions: ['9.0'] }
      const body = JSON.stringify({ code: 200, status: 'Success', results })
      keylime.verifier.fail('version', answerWith(200, body, 'application/json'))
      await using fresh = await startInProcess(keylime.serverHcl())
      expect(await fresh.attest(keylime.node())).toMatchObject({
        status: 'FAILED_PRECONDITION',
        message: holding('[KL-API-UNSUPPORTED]'),
      })
    })

    it('a verifier that answers for everything is no second opinion', async () => {
      keylime.verifier.setGullible(true)
      await using fresh = await startInProcess(keylime.serverHcl())
      expect(await fresh.attest(keylime.node())).toMatchObject({
        status: 'INTERNAL',
        message: holding('[KL-OPINION-SELF-CHECK]'),
      })
      expect(fresh.logged('Attestation failed')[0]?.fields).toMatchObject({
        verifier: `keylime verifier 127.0.0.1:${String(keylime.verifier.port)}`,
        ak_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      })
      keylime.verifier.setGullible(false)
      expect(await fresh.attest(keylime.node())).toMatchObject({ status: 'OK' })
    })
  })

  describe('with several verifiers', () => {
    it('finds the node at the second one, asks that one first next time, and calls neither 404 nor silence a verdict', async () => {
      const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 40 })
      const node = newFakeNode('at-the-second', tpm)
      register(node.agentId, tpm)
      keylime.verifiers[1]?.enrol(node.agentId, tpm.akTpm)
      await using fresh = await startInProcess(both())
      expect(await fresh.attest(node)).toMatchObject({ status: 'OK' })
      keylime.verifier.resetStats()
      expect(await fresh.attest(node)).toMatchObject({ status: 'OK' })
      expect(keylime.verifier.stats.requests).toEqual({})
    })

    it('goes on to the second at once when the first refuses connections, and logs failure and return', async () => {
      const node = keylime.node()
      keylime.verifiers[1]?.enrol(node.agentId, node.tpm.akTpm)
      await using fresh = await startInProcess(both())
      await keylime.verifier.pause()
      expect(await fresh.attest(node)).toMatchObject({ status: 'OK' })
      expect(fresh.logged('Keylime service fails')[0]?.fields).toMatchObject({
        service: holding('verifier'),
      })
      keylime.verifiers[1]?.remove(node.agentId)
      expect(await fresh.attest(node)).toMatchObject({ status: 'UNAVAILABLE' })
      await keylime.verifier.resume()
      expect(await fresh.attest(node)).toMatchObject({ status: 'OK' })
      expect(fresh.logged('Keylime service answers again')).toHaveLength(1)
    })

    it('takes the verdict of one although its other answer fails: the next, which would admit, is not asked', async () => {
      const node = keylime.node()
      const [one, two] = keylime.verifiers
      two?.enrol(node.agentId, node.tpm.akTpm)
      one?.set(node.agentId, { operational_state: 9, attestation_status: 'FAIL' })
      one?.fail('identity', answerWith(500, ''))
      await using first = await startInProcess(both())
      expect(await first.attest(node)).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding('[KL-GATE-INVALID-QUOTE]'),
      })

      one?.clearFaults()
      one?.fail('agent', answerWith(500, ''))
      one?.enrol(node.agentId, new SoftwareTpm({ ek: 'ec-p256', slot: 47 }).akTpm)
      await using again = await startInProcess(both())
      expect(await again.attest(node)).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding('[KL-QUOTE-VERIFIER-REJECTED]'),
      })
      expect(two?.stats.requests).toEqual({})
      two?.remove(node.agentId)
      one?.enrol(node.agentId, node.tpm.akTpm)
    })

    it('says "not enrolled" only when all of them answered', async () => {
      const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 41 })
      register('nowhere', tpm)
      await using fresh = await startInProcess(both())
      expect(await fresh.attest(newFakeNode('nowhere', tpm))).toMatchObject({
        status: 'FAILED_PRECONDITION',
        message: holding('[KL-AGENT-UNKNOWN]'),
      })
      keylime.verifiers[1]?.fail('*', answerWith(500))
      expect(await fresh.attest(newFakeNode('nowhere', tpm))).toMatchObject({ status: 'UNAVAILABLE' })
    })
  })

  describe('with wait_for_attestation', () => {
    it('holds a node that is not attested yet and admits it when it is', async () => {
      const node = keylime.node()
      keylime.verifier.set(node.agentId, { operational_state: 1, attestation_status: 'PENDING' })
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '60s' }))
      const pauses: number[] = []
      patient.change({
        sleep: (ms) => {
          pauses.push(ms)
          if (pauses.length === 3) keylime.verifier.set(node.agentId, healthy())
          return Promise.resolve()
        },
      })
      expect(await patient.attest(node)).toMatchObject({ status: 'OK' })
      expect(pauses).toEqual([2_000, 3_000, 4_500])
    })

    it('gives up when the time is over, with what the verifier said last', async () => {
      const node = keylime.node()
      keylime.verifier.set(node.agentId, { operational_state: 1, attestation_status: 'PENDING' })
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '7s' }))
      const pauses: number[] = []
      patient.change({
        sleep: (ms) => {
          pauses.push(ms)
          return Promise.resolve()
        },
      })
      expect(await patient.attest(node)).toMatchObject({ status: 'FAILED_PRECONDITION' })
      expect(pauses).toEqual([2_000, 3_000, 2_000])
    })

    it('counts the time that looking takes', async () => {
      const node = keylime.node()
      keylime.verifier.set(node.agentId, { operational_state: 1, attestation_status: 'PENDING' })
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '5m' }))
      const now = performance.now.bind(performance)
      let naps = 0
      const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + naps * 120_000)
      patient.change({
        sleep: () => {
          naps += 1
          return Promise.resolve()
        },
      })
      const { status } = await patient.attest(node)
      clock.mockRestore()
      expect({ status, naps }).toEqual({ status: 'FAILED_PRECONDITION', naps: 3 })
    })

    it('stops at once when the caller goes', async () => {
      const node = keylime.node()
      keylime.verifier.set(node.agentId, { operational_state: 1 })
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '5m' }))
      const caller = new AbortController()
      const attesting = patient.attest(node, { signal: caller.signal })
      await expect.poll(() => patient.logged('Node is not attested yet, waiting').length).toBe(1)
      expect(patient.logged('Node is not attested yet, waiting')[0]).toMatchObject({
        level: 'info',
        fields: { wait_ms: 300_000, clauses: holding('state 1 START [KL-GATE-PENDING]') },
      })
      caller.abort()
      expect(await attesting).toMatchObject({ status: 'CANCELLED' })
    })

    it('holds a node that nobody has enrolled no longer than 30 s, however long others may wait', async () => {
      const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 41 })
      register('never-enrolled', tpm)
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '5m' }))
      const naps: number[] = []
      patient.change({
        sleep: (ms) => {
          naps.push(ms)
          return Promise.resolve()
        },
      })
      expect(await patient.attest(newFakeNode('never-enrolled', tpm))).toMatchObject({
        status: 'FAILED_PRECONDITION',
        message: holding('[KL-AGENT-UNKNOWN]'),
      })
      const slept = naps.reduce((sum, ms) => sum + ms, 0)
      expect(slept).toBeGreaterThan(25_000)
      expect(slept).toBeLessThanOrEqual(30_000)
    })

    it('answers at once where as many nodes are held as can be', async () => {
      const node = keylime.node()
      keylime.verifier.set(node.agentId, { operational_state: 1 })
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '5m' }))
      const held = new HeldNodes(1)
      const another = parseAgentId('another')
      patient.change({ held })
      held.enter(another)
      expect(await patient.attest(node)).toMatchObject({ status: 'FAILED_PRECONDITION' })
      expect(patient.logged('Node is not attested yet, waiting')).toEqual([])
      held.leave(another)
      patient.change({ sleep: () => Promise.resolve(keylime.verifier.set(node.agentId, healthy())) })
      for (const _ of [1, 2]) expect(await patient.attest(node)).toMatchObject({ status: 'OK' })
    })

    it('refuses a node that waited while its ID was given to another TPM, whose record is healthy', async () => {
      const [old, other] = [new SoftwareTpm({ ek: 'ec-p256', slot: 48 }), new SoftwareTpm({ ek: 'ec-p256', slot: 49 })]
      register('moved', old)
      keylime.verifier.enrol('moved', old.akTpm, { operational_state: 1, attestation_status: 'PENDING' })
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '10s' }))
      patient.change({
        sleep: () => {
          register('moved', other, { ip: '10.10.2.60' })
          keylime.verifier.enrol('moved', other.akTpm)
          return Promise.resolve()
        },
      })
      const outcome = await patient.attest(newFakeNode('moved', old))
      expect(outcome).toMatchObject({ status: 'PERMISSION_DENIED', message: holding('[KL-QUOTE-REJECTED]') })
      expect(outcome.message).not.toContain('10.10.2.60')
      expect(patient.logged('Node refused')[0]?.fields).toMatchObject({ registered_at: '10.10.2.60:9002' })
    })

    it('waits for a node that nobody has enrolled yet, and not for a verdict', async () => {
      const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 42 })
      const node = newFakeNode('late', tpm)
      register('late', tpm)
      await using patient = await startInProcess(keylime.serverHcl({ wait_for_attestation: '10s' }))
      let naps = 0
      patient.change({
        sleep: () => {
          naps += 1
          keylime.verifier.enrol('late', tpm.akTpm)
          return Promise.resolve()
        },
      })
      expect(await patient.attest(node)).toMatchObject({ status: 'OK' })
      keylime.verifier.set('late', { operational_state: 10 })
      expect(await patient.attest(node)).toMatchObject({ status: 'PERMISSION_DENIED' })
      expect(naps).toBe(1)
    })
  })

  describe('about who the node is', () => {
    it('refuses the ID of every unconfigured Keylime agent before any challenge [P06] [T08]', async () => {
      const outcome = await server.attest(newFakeNode(DEFAULT_AGENT_UUID, keylime.node().tpm), {
        answer: () => Promise.reject(new Error('challenged')),
      })
      expect(outcome).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding('[KL-ID-DEFAULT-UUID]'),
      })
      expect(keylime.registrar.stats.requests).toEqual({})
    })

    it('refuses the second host on one ID with both named, and lets it in once the first is evicted [T84] [T61]', async () => {
      const [first, other] = [
        new SoftwareTpm({ ek: 'ec-p256', slot: 43 }),
        new SoftwareTpm({ ek: 'ec-p256', slot: 44 }),
      ]
      let known = true
      const hosts = noHosts({ agentStore: () => Promise.resolve({ hasAgent: () => Promise.resolve(known) }) })
      await using fresh = await startInProcess(keylime.serverHcl({ allow_default_uuid: true }), hosts)
      const take = (tpm: SoftwareTpm, ip: string): void => {
        register(DEFAULT_AGENT_UUID, tpm, { ip })
        keylime.verifier.enrol(DEFAULT_AGENT_UUID, tpm.akTpm)
      }
      take(first, '10.10.2.70')
      expect(await fresh.attest(newFakeNode(DEFAULT_AGENT_UUID, first))).toMatchObject({ status: 'OK' })

      // A registrar of 7.14 or newer keeps the first: the quote of the second proves nothing.
      const impostor = await fresh.attest(newFakeNode(DEFAULT_AGENT_UUID, other))
      expect(impostor).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding('[KL-QUOTE-REJECTED]'),
      })
      expect(impostor.message).not.toMatch(/10\.10\.2|EK [0-9a-f]/)
      expect(impostor.message).toContain("the SPIRE server's log names the host that is registered under this agent id")
      expect(fresh.logged('Node refused').at(-1)?.fields).toMatchObject({
        registered_at: '10.10.2.70:9002',
        registered_ek: matching(/^[0-9a-f]{64}$/),
        clauses: holding('is registered for the TPM with EK'),
      })

      // An older one lets the second take the ID over.
      take(other, '10.10.2.60')
      const taken = await fresh.attest(newFakeNode(DEFAULT_AGENT_UUID, other))
      expect(taken).toMatchObject({ status: 'PERMISSION_DENIED', message: holding('[KL-ID-IN-USE]') })
      expect(taken.message).toMatch(
        /EK [0-9a-f]{16} \(at 10\.10\.2\.70:9002\).*EK [0-9a-f]{16} \(at 10\.10\.2\.60:9002\)/,
      )

      known = false
      expect(await fresh.attest(newFakeNode(DEFAULT_AGENT_UUID, other))).toMatchObject({ status: 'OK' })
      expect(fresh.logged('Agent ID passes to another TPM: SPIRE no longer knows the node that held it')).toHaveLength(
        1,
      )
    })

    it('leaves an ID with its TPM while SPIRE does not answer, and calls that no verdict', async () => {
      const [first, other] = [
        new SoftwareTpm({ ek: 'ec-p256', slot: 45 }),
        new SoftwareTpm({ ek: 'ec-p256', slot: 46 }),
      ]
      const busy = new RpcError('DEADLINE_EXCEEDED', 'database is locked')
      const hosts = noHosts({ agentStore: () => Promise.resolve({ hasAgent: () => Promise.reject(busy) }) })
      await using fresh = await startInProcess(keylime.serverHcl(), hosts)
      register('undecided', first)
      keylime.verifier.enrol('undecided', first.akTpm)
      expect(await fresh.attest(newFakeNode('undecided', first))).toMatchObject({ status: 'OK' })
      register('undecided', other)
      keylime.verifier.enrol('undecided', other.akTpm)
      const outcome = await fresh.attest(newFakeNode('undecided', other))
      expect(outcome.status).toBe('UNAVAILABLE')
      expect(outcome.message).toMatch(
        /in use by the TPM with EK [0-9a-f]{16}.*; whether SPIRE still knows that node cannot be said now \[KL-ID-UNDECIDED\]$/,
      )
    })

    it('admits one of two TPMs that attest under one ID at the same moment', async () => {
      const [first, other] = [
        new SoftwareTpm({ ek: 'ec-p256', slot: 55 }),
        new SoftwareTpm({ ek: 'ec-p256', slot: 56 }),
      ]
      await using fresh = await startInProcess(keylime.serverHcl({ wait_for_attestation: '10s' }))
      register('raced', first)
      keylime.verifier.enrol('raced', first.akTpm, { operational_state: 1 })
      let status = ''
      fresh.change({
        sleep: async () => {
          // While the first is held, the other one attests, and then the ID goes back.
          register('raced', other)
          keylime.verifier.enrol('raced', other.akTpm)
          ;({ status } = await fresh.attest(newFakeNode('raced', other)))
          register('raced', first)
          keylime.verifier.enrol('raced', first.akTpm)
        },
      })
      const outcome = await fresh.attest(newFakeNode('raced', first))
      expect([status, outcome]).toMatchObject([
        'OK',
        { status: 'PERMISSION_DENIED', message: holding('[KL-ID-IN-USE]') },
      ])
    })

    it('keeps what it knows of TPMs and IDs through a new configuration', async () => {
      const [first, other] = [
        new SoftwareTpm({ ek: 'ec-p256', slot: 45 }),
        new SoftwareTpm({ ek: 'ec-p256', slot: 46 }),
      ]
      await using fresh = await startInProcess(keylime.serverHcl())
      register('kept', first)
      keylime.verifier.enrol('kept', first.akTpm)
      expect(await fresh.attest(newFakeNode('kept', first))).toMatchObject({ status: 'OK' })
      await fresh.configure(keylime.serverHcl({ request_timeout: '4s' }))
      register('kept', other)
      keylime.verifier.enrol('kept', other.akTpm)
      expect(await fresh.attest(newFakeNode('kept', other))).toMatchObject({
        message: holding('[KL-ID-IN-USE]'),
      })
    })

    it('admits a node that registered again with a new attestation key, though the old record is still fresh', async () => {
      const before = new SoftwareTpm({ ek: 'ec-p256', slot: 47 })
      const after = new SoftwareTpm({ ek: before.ek, ak: 'ec-p384', slot: 48 })
      await using fresh = await startInProcess(keylime.serverHcl())
      for (const tpm of [before, after]) {
        register('rekeyed', tpm)
        keylime.verifier.enrol('rekeyed', tpm.akTpm)
        expect(await fresh.attest(newFakeNode('rekeyed', tpm))).toMatchObject({ status: 'OK' })
      }
    })

    it('demands the hash of the EK as ID with require_ek_uuid [T15]', async () => {
      await using fresh = await startInProcess(keylime.serverHcl({ require_ek_uuid: true }))
      expect(await fresh.attest(keylime.node())).toMatchObject({ status: 'OK' })
      const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 48 })
      register('some-name', tpm)
      keylime.verifier.enrol('some-name', tpm.akTpm)
      const outcome = await fresh.attest(newFakeNode('some-name', tpm))
      expect(outcome).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding('[KL-ID-NOT-EK-HASH]'),
      })
      expect(outcome.message).toContain(tpm.ekUuid)
    })

    it('demands an EK certificate of a known maker with ek_ca_path, and says which maker it is [T13]', async () => {
      await using fresh = await startInProcess(keylime.serverHcl({ ek_ca_path: keylime.ekCaFile }))
      const admitted = await fresh.attest(keylime.node())
      expect(admitted.attributes?.selectorValues).toContainEqual(matching(/^ek:ca:[0-9a-f]{64}$/))
      const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 49 })
      register('no-certificate', tpm)
      keylime.verifier.enrol('no-certificate', tpm.akTpm)
      expect(await fresh.attest(newFakeNode('no-certificate', tpm))).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding('[KL-EK-NO-CERTIFICATE]'),
      })
      const other = keylime.pki.write('other-maker.crt', (await keylime.pki.root('another maker')).pem)
      await using strict = await startInProcess(keylime.serverHcl({ ek_ca_path: other }))
      const refused = await strict.attest(keylime.node())
      expect(refused).toMatchObject({
        status: 'FAILED_PRECONDITION',
        message: holding('[KL-EK-ISSUER-UNKNOWN]'),
      })
      expect(refused.message).toContain('swtpm-localca')
    })
  })

  describe('about the policy [P01] [T79]', () => {
    it('warns once of a policy that checks nothing, and again when it changes', async () => {
      const node = keylime.node()
      await using fresh = await startInProcess(keylime.serverHcl())
      const warned = () =>
        fresh.lines.filter((line) => line.message.startsWith('Enrolled policy checks nothing')).length
      for (const expected of [1, 1]) {
        await fresh.attest(node)
        expect(warned()).toBe(expected)
      }
      keylime.verifier.set(node.agentId, { tpm_policy: '{"mask": "0x90"}' })
      await fresh.attest(node)
      expect(warned()).toBe(2)
    })

    it('refuses it with require_policy, and says PCR by PCR what is checked', async () => {
      keylime.verifier.set(keylime.node().agentId, { tpm_policy: '{"mask": "0x90"}', has_runtime_policy: 1 })
      await using fresh = await startInProcess(keylime.serverHcl({ require_policy: ['runtime'] }))
      expect(await fresh.attest(keylime.node())).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding(
          'does not check runtime; it is: no PCR compared, PCR 4, 7 only quoted, boot log unchecked, IMA log unchecked [KL-POLICY-WEAK]',
        ),
      })
    })

    it('refuses another policy than the pinned one [P08]', async () => {
      await using fresh = await startInProcess(keylime.serverHcl({ tpm_policy: '{"mask": "0x400"}' }))
      expect(await fresh.attest(keylime.node())).toMatchObject({
        status: 'PERMISSION_DENIED',
        message: holding('[KL-POLICY-DIFFERS]'),
      })
    })
  })

  describe('in shadow mode', () => {
    it('admits what the Go plugin would admit, and logs and counts what it would refuse', async () => {
      const node = keylime.node()
      keylime.verifier.set(node.agentId, { last_successful_attestation: second() - 500 })
      const counted: [string, unknown][] = []
      const take = (key: readonly string[], _value: number, labels?: object): Promise<void> => {
        counted.push([key.join('.'), labels])
        return Promise.resolve()
      }
      const hosts = noHosts({
        metrics: () =>
          Promise.resolve({
            incrCounter: take,
            addSample: take,
            setGauge: take,
            measureSince: take,
            emitKey: () => Promise.resolve(),
          }),
      })
      const shadow = await startInProcess(
        keylime.serverHcl({ enforce: false, require_ek_uuid: true, require_policy: ['pcr'] }),
        hosts,
      )
      expect(shadow.warnings).toEqual([holding('shadow mode')])
      expect(await shadow.attest(node)).toMatchObject({ status: 'OK' })
      const [line] = shadow.logged('Shadow mode: would refuse this node')
      expect(line?.fields['clauses']).toMatch(/KL-POLICY-WEAK.*KL-GATE-STALE|KL-GATE-STALE.*KL-POLICY-WEAK/)
      await shadow[Symbol.asyncDispose]()
      expect(counted).toContainEqual(['keylime.shadow_refusals_total', { code: 'KL-GATE-STALE' }])
      expect(counted).toContainEqual(['keylime.attest_total', { result: 'admitted', code: 'OK' }])
    })

    it('still refuses a wrong quote, a failed node and a node the verifier does not know', async () => {
      await using shadow = await startInProcess(keylime.serverHcl({ enforce: false }))
      const knobs = { signer: keylime.node(1).tpm }
      expect(await shadow.attest(keylime.node(), { knobs })).toMatchObject({ status: 'PERMISSION_DENIED' })
      keylime.verifier.set(keylime.node().agentId, { operational_state: 9 })
      expect(await shadow.attest(keylime.node())).toMatchObject({ status: 'PERMISSION_DENIED' })
      keylime.verifier.set(keylime.node().agentId, { operational_state: 1 })
      expect(await shadow.attest(keylime.node())).toMatchObject({ status: 'FAILED_PRECONDITION' })
    })
  })
})

function register(agentId: string, tpm: SoftwareTpm, more: { readonly ip?: string } = {}): void {
  keylime.registrar.register({
    agent_id: agentId,
    ek_tpm: tpm.ekTpm.toString('base64'),
    aik_tpm: tpm.akTpm.toString('base64'),
    ...more,
  })
}
