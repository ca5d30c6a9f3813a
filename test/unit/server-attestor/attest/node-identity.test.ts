import { describe, expect, it } from 'vitest'
import { DEFAULT_AGENT_UUID } from '../../../../plugins/keylime/basis/ids.ts'
import { RpcError } from '../../../../plugins/spire-sdk/wire/rpc-error.ts'
import { newFakeNode } from '../../../fakes/fake-node.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { holding, matching } from '../expecting.ts'
import { noHosts, startInProcess } from '../in-process.ts'
import { keylime, register, server, useServerHalf } from './server-half.ts'

useServerHalf()

describe('attest', () => {
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
      takeDefaultId(first, '10.10.2.70')
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
      takeDefaultId(other, '10.10.2.60')
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
})

function takeDefaultId(tpm: SoftwareTpm, ip: string): void {
  register(DEFAULT_AGENT_UUID, tpm, { ip })
  keylime.verifier.enrol(DEFAULT_AGENT_UUID, tpm.akTpm)
}
