import { describe, expect, it, vi } from 'vitest'
import { answerWith, type Fault, nginxError } from '../../../fakes/faults.ts'
import { holding } from '../expecting.ts'
import { startInProcess } from '../in-process.ts'
import { keylime, useServerHalf } from './server-half.ts'

useServerHalf()

describe('attest', () => {
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
})
