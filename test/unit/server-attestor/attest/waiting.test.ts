import { describe, expect, it, vi } from 'vitest'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { HeldNodes } from '../../../../server-attestor/reading/held-nodes.ts'
import { newFakeNode } from '../../../fakes/fake-node.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { holding } from '../expecting.ts'
import { startInProcess } from '../in-process.ts'
import { healthy, keylime, register, useServerHalf } from './server-half.ts'

useServerHalf()

describe('attest', () => {
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
})
