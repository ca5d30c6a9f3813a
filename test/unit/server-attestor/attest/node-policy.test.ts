import { describe, expect, it } from 'vitest'
import { holding } from '../expecting.ts'
import { noHosts, startInProcess } from '../in-process.ts'
import { keylime, second, useServerHalf } from './server-half.ts'

useServerHalf()

describe('attest', () => {
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
