import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { registeredKeys } from '../../../../plugins/keylime/evidence/registered-keys.ts'
import { issueEkCertificate, newEkCa } from '../../../fakes/ek-certificate.ts'
import { newTestPki, type TestPki } from '../../../fakes/pki.ts'
import { SoftwareTpm, type SoftwareTpmOptions } from '../../../fakes/software-tpm.ts'
import { outcomeOf } from '../../tpm/outcome.ts'
import { RECORDED_RECORD } from '../../tpm/recorded-node.ts'

// Large RSA keys are made here, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let pki: TestPki
beforeAll(() => {
  pki = newTestPki()
})
afterAll(() => pki.remove())

function judge(options: SoftwareTpmOptions): string {
  const tpm = new SoftwareTpm({ slot: 1, ...options })
  return outcomeOf(() => registeredKeys({ agentId: 'node-1', akTpm: tpm.akTpm, ekTpm: tpm.ekTpm }))
}

const unusable = (reason: string): string =>
  `KEYLIME_BAD_RESPONSE: keylime registrar record of agent node-1 is unusable: ${reason}`

describe('registeredKeys', () => {
  it('gives EK fingerprint and hash_ek ID of the recorded node [T15]', () => {
    const keys = registeredKeys(RECORDED_RECORD)
    expect(keys.ekUuid).toBe(RECORDED_RECORD.agentId)
    const der = Buffer.from(keys.ek.pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
    expect(keys.ekFingerprint).toBe(createHash('sha256').update(der).digest('hex'))
  })

  it('does the work once for each record', () => {
    expect(registeredKeys(RECORDED_RECORD)).toBe(registeredKeys(RECORDED_RECORD))
  })

  it.each([
    ['sign what no TPM made', 0x0004_0072, 'AK has attributes 0x00040072, expected 0x00050072 (an attestation key)'],
    ['be moved to another TPM', 0x0005_0062, 'AK has attributes 0x00050062, expected 0x00050072 (an attestation key)'],
    ['decrypt', 0x0007_0072, 'AK has attributes 0x00070072, expected 0x00050072 (an attestation key)'],
  ])('refuses an AK that may %s [T14]', (_title, akAttributes, reason) => {
    expect(judge({ akAttributes })).toBe(unusable(reason))
  })

  it('refuses an AK with another scheme', () => {
    expect(judge({ akScheme: 0x16 })).toBe(unusable('AK has scheme rsapss, expected rsassa'))
  })

  it.each(['ec-p256', 'ec-p384', 'ec-p521'] as const)('takes an AK on %s [claims:ek:key-forms]', (ak) => {
    expect(judge({ ak, hash: 'sha512' })).toBe('accepted')
  })

  it('refuses an AK that wraps other keys', () => {
    const { akTpm, ekTpm } = RECORDED_RECORD
    // AES-128 CFB in place of "no symmetric cipher", four bytes more.
    const wrapping = Buffer.concat([akTpm.subarray(0, 12), Buffer.from('000600800043', 'hex'), akTpm.subarray(14)])
    wrapping.writeUInt16BE(wrapping.length - 2)
    expect(outcomeOf(() => registeredKeys({ agentId: 'node-1', akTpm: wrapping, ekTpm }))).toBe(
      unusable('AK has a symmetric cipher, expected none'),
    )
  })

  it('refuses names made with SHA-1', () => {
    expect(judge({ hash: 'sha1' })).toBe(unusable('AK has a sha1 name, expected sha256, sha384 or sha512'))
  })

  it('refuses keys that do not parse', () => {
    const { akTpm, ekTpm } = RECORDED_RECORD
    const bad = (changes: object): string =>
      outcomeOf(() => registeredKeys({ agentId: 'node-1', akTpm, ekTpm, ...changes }))
    expect(bad({ akTpm: Buffer.alloc(0) })).toBe(
      unusable('AK does not parse: TPM2B_PUBLIC size: expected 2 bytes, found 0'),
    )
    expect(bad({ ekTpm: Buffer.concat([ekTpm, Buffer.alloc(1)]) })).toBe(
      unusable('EK does not parse: TPM2B_PUBLIC is followed by 1 bytes'),
    )
  })

  it('refuses an EK certificate of another key [T15]', async () => {
    const { issuer } = await newEkCa(pki)
    const [own, other] = [new SoftwareTpm({ slot: 1 }), new SoftwareTpm({ slot: 2 })]
    const record = { agentId: 'node-1', akTpm: own.akTpm, ekTpm: own.ekTpm }
    const certify = async (tpm: SoftwareTpm) => Buffer.from((await issueEkCertificate(issuer, tpm)).x509.raw)
    const right = { ...record, ekCert: await certify(own) }
    expect(outcomeOf(() => registeredKeys(right))).toBe('accepted')
    const wrong = { ...record, ekCert: await certify(other) }
    expect(outcomeOf(() => registeredKeys(wrong))).toBe(
      unusable('EK certificate is for another key than the registered EK'),
    )
  })

  it('bears an EK certificate that does not parse, since nothing rests on it', () => {
    const { akTpm, ekTpm } = RECORDED_RECORD
    expect(outcomeOf(() => registeredKeys({ agentId: 'a', akTpm, ekTpm, ekCert: Buffer.from('x') }))).toBe('accepted')
  })
})
