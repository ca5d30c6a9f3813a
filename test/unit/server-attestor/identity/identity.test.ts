import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultUuidReasons, type IdentityRules } from '../../../../plugins/gate/identity-rules.ts'
import type { RegistrarRecord } from '../../../../plugins/keylime/api/v2/registrar-record.ts'
import { KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'
import { DEFAULT_AGENT_UUID, parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { loadEkAnchors } from '../../../../plugins/keylime/evidence/ek-anchors.ts'
import { AdmittedNodes, identityOf, withRegisteredNode } from '../../../../server-attestor/identity/identity.ts'
import { issueEkCertificate, newEkCa } from '../../../fakes/ek-certificate.ts'
import { newTestPki, type TestCa, type TestPki } from '../../../fakes/pki.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { holding } from '../expecting.ts'

const RULES: IdentityRules = { allowDefaultUuid: false, requireEkUuid: false }
const NOW = new Date()
const tpm = new SoftwareTpm({ ek: 'ec-p256', slot: 60 })
const other = new SoftwareTpm({ ek: 'ec-p256', slot: 61 })
let pki: TestPki
let maker: { readonly root: TestCa; readonly issuer: TestCa }

beforeAll(async () => {
  pki = newTestPki()
  maker = await newEkCa(pki)
})
afterAll(() => pki.remove())

function record(of: SoftwareTpm, agentId: string = of.ekUuid, more: Partial<RegistrarRecord> = {}): RegistrarRecord {
  return { agentId: parseAgentId(agentId), akTpm: of.akTpm, ekTpm: of.ekTpm, ip: '10.10.2.70', port: 9002, ...more }
}

function anchors(...pems: readonly string[]) {
  const loaded = loadEkAnchors(pki.write(`anchors-${String(pems.join('').length)}.pem`, pems.join('')))
  return { ...RULES, ekAnchors: loaded.anchors }
}

describe('defaultUuidReasons', () => {
  it('refuses the ID of every unconfigured agent unless it is allowed [T08] [P06]', () => {
    expect(defaultUuidReasons(DEFAULT_AGENT_UUID, RULES)).toMatchObject([{ code: 'KL-ID-DEFAULT-UUID' }])
    const shouted = parseAgentId(DEFAULT_AGENT_UUID.toUpperCase())
    expect(defaultUuidReasons(shouted, RULES)).toMatchObject([{ code: 'KL-ID-DEFAULT-UUID' }])
    expect(defaultUuidReasons(DEFAULT_AGENT_UUID, { ...RULES, allowDefaultUuid: true })).toEqual([])
    expect(defaultUuidReasons(parseAgentId('node-1'), RULES)).toEqual([])
  })
})

describe('identityOf', () => {
  it('knows a node by its EK and its address', () => {
    expect(identityOf(record(tpm), RULES, new AdmittedNodes(), NOW)).toMatchObject({
      ekFingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown,
      address: '10.10.2.70:9002',
      reasons: [],
    })
  })

  it('demands the hash of the EK as ID with require_ek_uuid, and names it [T15]', () => {
    const rules = { ...RULES, requireEkUuid: true }
    expect(identityOf(record(tpm), rules, new AdmittedNodes(), NOW).reasons).toEqual([])
    expect(identityOf(record(tpm, other.ekUuid), rules, new AdmittedNodes(), NOW).reasons).toEqual([
      { code: 'KL-ID-NOT-EK-HASH', message: holding(tpm.ekUuid) },
    ])
  })

  it('names both hosts when another TPM holds the ID [T84]', () => {
    const admitted = new AdmittedNodes()
    const first = identityOf(record(tpm, 'shared'), RULES, admitted, NOW)
    admitted.add(first)
    expect(identityOf(record(tpm, 'shared'), RULES, admitted, NOW).reasons).toEqual([])
    const second = identityOf(record(other, 'shared', { ip: '10.10.2.60' }), RULES, admitted, NOW)
    expect(second.heldBy?.ekFingerprint).toBe(first.ekFingerprint)
    expect(second.reasons).toEqual([
      {
        code: 'KL-ID-IN-USE',
        message:
          `its ID is in use by the TPM with EK ${first.ekFingerprint.slice(0, 16)} (at 10.10.2.70:9002); ` +
          `this host has EK ${second.ekFingerprint.slice(0, 16)} (at 10.10.2.60:9002)`,
      },
    ])
  })

  it('refuses a second spelling of the ID that a TPM holds: databases may take both for one, SPIFFE for two', () => {
    const admitted = new AdmittedNodes()
    admitted.add(identityOf(record(tpm, 'node-a'), RULES, admitted, NOW))
    const respelt = identityOf(record(tpm, 'Node-A'), RULES, admitted, NOW)
    expect(respelt.heldBy?.agentId).toBe('node-a')
    expect(respelt.reasons).toEqual([
      {
        code: 'KL-ID-SPELLING',
        message: 'its TPM already holds the agent ID node-a, which differs in upper and lower case alone',
      },
    ])
    expect(identityOf(record(other, 'NODE-A'), RULES, admitted, NOW).reasons).toMatchObject([{ code: 'KL-ID-IN-USE' }])
  })

  it('accepts a certificate of a known TPM maker, swtpm’s critical directory name included, and says who vouches [T13]', async () => {
    const { x509 } = await issueEkCertificate(maker.issuer, tpm)
    const certified = record(tpm, tpm.ekUuid, { ekCert: Buffer.from(x509.raw) })
    const known = identityOf(certified, anchors(maker.root.pem, maker.issuer.pem), new AdmittedNodes(), NOW)
    expect(known.reasons).toEqual([])
    expect(known.ekCaFingerprint).toMatch(/^[0-9a-f]{64}$/)
    const issuerOnly = identityOf(certified, anchors(maker.issuer.pem), new AdmittedNodes(), NOW)
    expect(issuerOnly.reasons).toEqual([])
    expect(issuerOnly.ekCaFingerprint).not.toBe(known.ekCaFingerprint)
  })

  it('refuses an unknown maker and names it, an expired certificate where dates count, and none at all [T13] [P32]', async () => {
    const { x509 } = await issueEkCertificate(maker.issuer, tpm)
    const certified = record(tpm, tpm.ekUuid, { ekCert: Buffer.from(x509.raw) })
    const elsewhere = anchors((await pki.root('another maker')).pem)
    expect(identityOf(certified, elsewhere, new AdmittedNodes(), NOW).reasons).toEqual([
      { code: 'KL-EK-ISSUER-UNKNOWN', message: holding('swtpm-localca') },
    ])
    const late = new Date(NOW.getTime() + 400 * 365 * 86_400_000)
    const makers = anchors(maker.root.pem, maker.issuer.pem)
    expect(identityOf(certified, makers, new AdmittedNodes(), late)).toMatchObject({
      reasons: [],
      ekOutOfDate: holding('expired'),
    })
    expect(identityOf(certified, { ...makers, requireEkDates: true }, new AdmittedNodes(), late).reasons).toEqual([
      { code: 'KL-EK-DATES', message: holding('expired') },
    ])
    expect(identityOf(record(tpm), elsewhere, new AdmittedNodes(), NOW).reasons).toEqual([
      { code: 'KL-EK-NO-CERTIFICATE', message: holding('ek_ca_path') },
    ])
  })

  it('believes a chain for ten minutes, but not past the end of a certificate of it', async () => {
    const { x509 } = await issueEkCertificate(maker.issuer, tpm)
    const certified = record(tpm, tpm.ekUuid, { ekCert: Buffer.from(x509.raw) })
    const rules = { ...anchors(maker.issuer.pem), requireEkDates: true }
    const ends = [x509.raw, maker.issuer.pem].map((one) =>
      Date.parse(new X509Certificate(typeof one === 'string' ? one : Buffer.from(one)).validTo),
    )
    const last = Math.min(...ends)
    expect(identityOf(certified, rules, new AdmittedNodes(), new Date(last - 1_000)).reasons).toEqual([])
    expect(identityOf(certified, rules, new AdmittedNodes(), new Date(last + 1_000)).reasons).toMatchObject([
      { code: 'KL-EK-DATES' },
    ])
    expect(identityOf(certified, rules, new AdmittedNodes(), new Date(last - 1_000)).reasons).toEqual([])
  })

  it('names every reason at once', () => {
    const admitted = new AdmittedNodes()
    admitted.add({ agentId: parseAgentId('shared'), ekFingerprint: '00'.repeat(32), address: 'elsewhere' })
    const rules = { ...anchors(maker.root.pem), requireEkUuid: true }
    const { reasons } = identityOf(record(tpm, 'shared'), rules, admitted, NOW)
    expect(reasons.map(({ code }) => code)).toEqual(['KL-ID-NOT-EK-HASH', 'KL-EK-NO-CERTIFICATE', 'KL-ID-IN-USE'])
  })

  it('shows an address in one line and as it stands, whatever a node registered', () => {
    const odd = record(tpm, tpm.ekUuid, { ip: '10.10.2.70\n\u202E[KL-ID-IN-USE]' })
    expect(identityOf(odd, RULES, new AdmittedNodes(), NOW).address).toBe('10.10.2.70 [KL-ID-IN-USE]:9002')
  })

  it('says an unknown address where the registrar names none', () => {
    const { ip: _, port: __, ...nowhere } = record(tpm)
    expect(identityOf(nowhere, RULES, new AdmittedNodes(), NOW).address).toBe('an unknown address')
  })
})

describe('withRegisteredNode', () => {
  it('adds to a failed proof which host the ID belongs to, and leaves other failures alone', () => {
    const failed = withRegisteredNode(new KeylimeError('KEYLIME_QUOTE_REJECTED', 'signature differs'), record(tpm))
    expect(failed).toMatchObject({
      code: 'KEYLIME_QUOTE_REJECTED',
      message: holding('signature differs; agent id'),
    })
    expect(failed.message).toContain('10.10.2.70:9002')
    const timeout = new KeylimeError('KEYLIME_TIMEOUT', 'slow')
    expect(withRegisteredNode(timeout, record(tpm))).toBe(timeout)
  })
})
