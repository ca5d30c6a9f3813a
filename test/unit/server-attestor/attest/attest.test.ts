import { describe, expect, it, vi } from 'vitest'
import { newFakeNode } from '../../../fakes/fake-node.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { holding, including } from '../expecting.ts'
import { startInProcess } from '../in-process.ts'
import { keylime, register, server, useServerHalf } from './server-half.ts'

useServerHalf()

function versions(): (number | undefined)[] {
  return [keylime.registrar, keylime.verifier].map(({ stats }) => stats.requests['version'])
}

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

  it('learns what both services speak while the first node of a process is still challenged, once [scale:start:greeted]', async () => {
    await using fresh = await startInProcess(keylime.serverHcl())
    const node = keylime.node(2)
    const answer = async (challenge: Uint8Array): Promise<Uint8Array> => {
      await expect.poll(versions).toEqual([1, 1])
      return node.respond(challenge)
    }
    for (const _ of [1, 2]) expect(await fresh.attest(node, { answer })).toMatchObject({ status: 'OK' })
    expect(versions()).toEqual([1, 1])
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
})
