import { describe, expect, it } from 'vitest'
import { newFakeNode } from '../../../fakes/fake-node.ts'
import { answerWith } from '../../../fakes/faults.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { holding } from '../expecting.ts'
import { startInProcess } from '../in-process.ts'
import { both, keylime, register, useServerHalf } from './server-half.ts'

useServerHalf()

describe('attest', () => {
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
      // What it speaks it was asked of both at the first attestation, and nothing about a node.
      expect({ ...two?.stats.requests, version: 0 }).toEqual({ version: 0 })
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
})
