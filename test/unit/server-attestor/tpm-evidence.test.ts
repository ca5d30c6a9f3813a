// Nodes that quote by themselves, and nodes in push mode, through the whole server half over real HTTPS.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type FakeKeylime, type HclValues, startFakeKeylime } from '../../fakes/fake-keylime.ts'
import { newFakeNode } from '../../fakes/fake-node.ts'
import { answerWith } from '../../fakes/faults.ts'
import type { AttestationChanges } from '../../fakes/push-attestations.ts'
import { SoftwareTpm } from '../../fakes/software-tpm.ts'
import { type TpmNodeKnobs, tpmNode } from '../../fakes/tpm-node.ts'
import { holding } from './expecting.ts'
import { type InProcess, startInProcess } from './in-process.ts'

const ASKED = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]

describe('a node that quotes by itself, in pull mode', () => {
  let keylime: FakeKeylime

  beforeAll(async () => {
    keylime = await startFakeKeylime({ ak: 'ec-p256', nodes: 2, tpms: 2 })
  })
  afterAll(() => keylime.close())
  afterEach(() => keylime.verifier.set(keylime.node().agentId, { tpm_policy: '{"mask": "0x0"}' }))

  async function server(extra: HclValues = {}): Promise<InProcess> {
    return await startInProcess(keylime.serverHcl(extra))
  }

  it('is admitted by a quote that is bound to the attestation, with selectors of its own [tpm:server:admit]', async () => {
    await using half = await server({ pcr_selectors: ['7', '15'] })
    const { status, message, attributes } = await half.attest(tpmNode(keylime.node()))
    expect({ status, message }).toEqual({ status: 'OK', message: '' })
    expect(attributes?.selectorValues).toEqual(
      expect.arrayContaining([
        'evidence:tpm',
        'mode:pull',
        `pcr:sha256:7:${'00'.repeat(32)}`,
        `pcr:sha256:15:${'00'.repeat(32)}`,
      ]),
    )
    expect(attributes?.selectorValues.filter((value) => value.startsWith('pcr:'))).toHaveLength(2)
    expect(half.lines.map((line) => JSON.stringify(line)).join('\n')).not.toMatch(
      /Credential|TPMQuote|AQ[A-Za-z0-9+/]{40}/,
    )
  })

  it('costs one request to the verifier once its opinion stands [tpm:server:requests]', async () => {
    await using half = await server()
    await half.attest(tpmNode(keylime.node()))
    const before = keylime.verifier.seen.length
    await half.attest(tpmNode(keylime.node()))
    expect(keylime.verifier.seen.slice(before).map((path) => path.replace(/[0-9a-f]{64}/, 'ID'))).toEqual([
      '/v2.6/agents/ID',
    ])
  })

  const other = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
  it.each<[string, TpmNodeKnobs, string]>([
    [
      'for another trust domain',
      { trustDomain: 'example.com' },
      'it is not bound to this attestation, or its TPM did not open the credential',
    ],
    [
      'for another agent',
      { boundAs: 'node-7' },
      'it is not bound to this attestation, or its TPM did not open the credential',
    ],
    [
      'without the activated secret',
      { boundSecret: Buffer.alloc(32) },
      'it is not bound to this attestation, or its TPM did not open the credential',
    ],
    [
      'over the plain nonce',
      { extraData: Buffer.from('ABC') },
      'it is not bound to this attestation, or its TPM did not open the credential',
    ],
    [
      'over fewer PCRs',
      { quoted: [7] },
      'quoted pcr selection is sha256:7, expected sha256:0,1,2,3,4,5,6,7,8,9,11,12,13,14,15',
    ],
    [
      'over more PCRs',
      { quoted: [...ASKED, 16] },
      'quoted pcr selection is sha256:0,1,2,3,4,5,6,7,8,9,11,12,13,14,15,16, expected',
    ],
    ['of another bank', { bank: 'sha384' }, 'quoted pcr selection is sha384:0'],
    ['with values of other PCRs', { blobPcrs: [7] }, 'pcr values selection is sha256:7, expected'],
    [
      'with values that were not signed',
      { pcrDigest: Buffer.alloc(32, 1) },
      'pcr values differ from the quoted digest',
    ],
    ['signed by another TPM', { signer: other }, 'signature is not by the registered AK'],
    ['signed with another hash', { signatureHash: 'sha384' }, 'signature hash is sha384, expected sha256'],
    [
      'under another EK',
      { qualifiedSigner: other.akQualifiedName },
      'signer is not the registered AK under the registered EK',
    ],
  ])('is refused with a quote %s [tpm:server:proof]', async (_title, knobs, reason) => {
    await using half = await server()
    const { status, message } = await half.attest(tpmNode(keylime.node(), knobs))
    expect(status).toBe('PERMISSION_DENIED')
    expect(message).toContain(reason)
    expect(message).toContain('[KL-QUOTE-REJECTED]')
  })

  it('is refused with keys that are its own and not the registered ones [tpm:server:proof]', async () => {
    await using half = await server()
    const stranger = tpmNode(newFakeNode(keylime.node().agentId, other))
    const { status, message } = await half.attest(stranger)
    expect({ status, message }).toEqual({
      status: 'PERMISSION_DENIED',
      message: holding('its EK is another than the registered one'),
    })
    const sameEk = { ekTpm: keylime.node().tpm.ekTpm, akTpm: other.akTpm }
    // What such a caller cannot do is open the credential, so it answers with a secret it makes up.
    const liar = tpmNode(newFakeNode(keylime.node().agentId, other), { claimed: sameEk, boundSecret: Buffer.alloc(32) })
    expect(await half.attest(liar)).toMatchObject({ status: 'PERMISSION_DENIED' })
  })

  it('cannot be claimed by whoever replays its quote [tpm:server:proof]', async () => {
    await using half = await server()
    const node = tpmNode(keylime.node())
    let recorded: Uint8Array = Buffer.alloc(0)
    await half.attest(node, { answer: (challenge) => (recorded = node.respond(challenge)) })
    expect(await half.attest(node, { answer: () => recorded })).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding('not bound to this attestation'),
    })
  })

  it.each([
    ['is none', Buffer.from('00', 'hex')],
    ['is of a kind that credentials cannot be sealed for', keylimeAk],
  ])('is refused when the EK it claims %s', async (_title, ek) => {
    await using half = await server()
    const ekTpm = typeof ek === 'function' ? ek() : ek
    const { akTpm } = keylime.node().tpm
    expect(await half.attest(tpmNode(keylime.node(), { claimed: { ekTpm, akTpm } }))).toMatchObject({
      status: 'INVALID_ARGUMENT',
      message: holding('payload field EK is not usable'),
    })
  })

  function keylimeAk(): Buffer {
    return keylime.node().tpm.akTpm
  }

  it('is taken alone where accept_evidence says so: what could be relayed is not asked for [tpm:server:accept]', async () => {
    await using half = await server({ accept_evidence: ['tpm'] })
    let challenged = false
    const outcome = await half.attest(keylime.node(), {
      answer: (challenge) => {
        challenged = true
        return keylime.node().respond(challenge)
      },
    })
    expect(outcome).toMatchObject({
      status: 'FAILED_PRECONDITION',
      message: holding('accept_evidence takes "tpm" alone [KL-EVIDENCE-NOT-ACCEPTED]'),
    })
    expect(challenged).toBe(false)
    expect(await half.attest(tpmNode(keylime.node()))).toMatchObject({ status: 'OK' })
  })

  it('is not relaxed by shadow mode: evidence that is not accepted, a quote that is not bound [tpm:server:accept]', async () => {
    await using half = await server({ accept_evidence: ['tpm'], enforce: false })
    expect(await half.attest(keylime.node())).toMatchObject({ status: 'FAILED_PRECONDITION' })
    expect(await half.attest(tpmNode(keylime.node(), { boundSecret: Buffer.alloc(32) }))).toMatchObject({
      status: 'PERMISSION_DENIED',
    })
  })

  it('is met as an older half would be where tpm evidence is not accepted, and so is an older agent half [tpm:messages:older-halves]', async () => {
    await using old = await server({ accept_evidence: ['keylime-agent'] })
    const { status, attributes } = await old.attest(tpmNode(keylime.node()))
    expect(status).toBe('OK')
    expect(attributes?.selectorValues).toContain('evidence:keylime-agent')
    await using current = await server()
    expect((await current.attest(keylime.node())).attributes?.selectorValues).toContain('evidence:keylime-agent')
  })

  it('is refused at once when a PCR is not what its policy allows, before the verifier looks again [tpm:pcr:compared]', async () => {
    const node = keylime.node(1)
    const allowed = JSON.stringify({ mask: '0x80', 7: ['00'.repeat(32)] })
    keylime.verifier.set(node.agentId, { tpm_policy: allowed })
    await using half = await server()
    expect(await half.attest(tpmNode(node))).toMatchObject({ status: 'OK' })
    node.tpm.extend(7, Buffer.alloc(32, 5))
    expect(await half.attest(tpmNode(node))).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding(`the enrolled tpm_policy allows ${'00'.repeat(32)} [KL-PCR-DIFFERS]`),
    })
    // A Keylime agent's identity quote says nothing of PCR 7: there the verifier's next look decides.
    expect(await half.attest(node)).toMatchObject({ status: 'OK' })
  })
})

describe('a node in push mode', () => {
  let keylime: FakeKeylime

  beforeAll(async () => {
    keylime = await startFakeKeylime({ pushMode: true, ak: 'ec-p256', nodes: 20, tpms: 20 })
  })
  afterAll(() => keylime.close())

  let next = 0
  function fresh(changes?: AttestationChanges): ReturnType<FakeKeylime['node']> {
    const node = keylime.node(next++)
    keylime.verifier.attest(node.agentId, node.tpm, changes)
    return node
  }

  it('is admitted by its own quote and by the evidence that the verifier judged [tpm:push:admit]', async () => {
    const node = fresh()
    await using half = await startInProcess(keylime.serverHcl())
    const { status, message, attributes } = await half.attest(tpmNode(node))
    expect({ status, message }).toEqual({ status: 'OK', message: '' })
    expect(attributes?.selectorValues).toEqual(expect.arrayContaining(['mode:push', 'evidence:tpm']))
    expect(attributes?.selectorValues.filter((value) => value.startsWith('ip:'))).toEqual([])
    const before = keylime.verifier.seen.length
    await half.attest(tpmNode(node))
    expect(keylime.verifier.seen.slice(before).map((path) => path.replace(/[0-9a-f]{64}/, 'ID'))).toEqual([
      '/v2.6/agents/ID',
      '/v3.0/agents/ID/attestations/latest',
    ])
  })

  it('is not admitted by an identity quote, which must be relayed from somewhere', async () => {
    const node = fresh()
    await using half = await startInProcess(keylime.serverHcl())
    expect(await half.attest(node)).toMatchObject({
      status: 'FAILED_PRECONDITION',
      message: holding('set evidence = "tpm" there [KL-GATE-PUSH-MODE]'),
    })
  })

  const other = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
  it.each<[string, AttestationChanges, string, string]>([
    [
      'was made by another TPM',
      { knobs: { signer: other } },
      'PERMISSION_DENIED',
      'judged quote rejected: signature is not by the registered AK [KL-PUSH-EVIDENCE-REJECTED]',
    ],
    [
      'is of another challenge',
      { edit: (evidence) => ({ ...evidence, chosen_parameters: { challenge: Buffer.alloc(16).toString('base64') } }) },
      'PERMISSION_DENIED',
      'it does not sign its challenge [KL-PUSH-EVIDENCE-REJECTED]',
    ],
    [
      'has no quote',
      { edit: () => ({ evidence_type: 'ima_log', data: {} }) },
      'PERMISSION_DENIED',
      'there is no TPM quote in it [KL-PUSH-EVIDENCE-REJECTED]',
    ],
    ['was judged bad', { evaluation: 'fail' }, 'PERMISSION_DENIED', 'it was judged fail [KL-PUSH-EVIDENCE-REJECTED]'],
    ['is old', { ageSeconds: 120 }, 'FAILED_PRECONDITION', 'the limit is 50 s [KL-PUSH-EVIDENCE-PENDING]'],
    [
      'is not judged yet',
      { stage: 'awaiting_evidence' },
      'FAILED_PRECONDITION',
      'the newest is at stage awaiting_evidence [KL-PUSH-EVIDENCE-PENDING]',
    ],
  ])(
    'is refused when the evidence %s, whatever the record says [tpm:push:judged]',
    async (_title, changes, status, text) => {
      const node = fresh(changes)
      await using half = await startInProcess(keylime.serverHcl())
      expect(await half.attest(tpmNode(node))).toMatchObject({ status, message: holding(text) })
    },
  )

  it('without any evidence is not attested yet [tpm:push:judged]', async () => {
    const node = keylime.node(next++)
    await using half = await startInProcess(keylime.serverHcl())
    expect(await half.attest(tpmNode(node))).toMatchObject({
      status: 'FAILED_PRECONDITION',
      message: holding('it has none [KL-PUSH-EVIDENCE-PENDING]'),
    })
  })

  it('is judged by the evidence before, while the newest is under way [tpm:push:judged]', async () => {
    const node = fresh()
    keylime.verifier.attest(node.agentId, node.tpm, { stage: 'awaiting_evidence' })
    await using half = await startInProcess(keylime.serverHcl())
    expect(await half.attest(tpmNode(node))).toMatchObject({ status: 'OK' })
  })

  it('is judged by the newest, where that was judged while the one before was asked for [tpm:push:judged-meanwhile]', async () => {
    const node = fresh()
    keylime.verifier.attest(node.agentId, node.tpm, { judgedOnceSeen: true })
    await using half = await startInProcess(keylime.serverHcl())
    const before = keylime.verifier.seen.length
    expect(await half.attest(tpmNode(node))).toMatchObject({ status: 'OK', message: '' })
    const asked = keylime.verifier.seen.slice(before).filter((path) => path.includes('attestations'))
    expect(asked.map((path) => path.split('/').at(-1))).toEqual(['latest', '0', 'latest'])
  })

  it('is waited for, as nodes in pull mode are [tpm:push:wait]', async () => {
    const node = fresh()
    keylime.verifier.set(node.agentId, { attestation_status: 'PENDING', attestation_count: 0 })
    await using half = await startInProcess(keylime.serverHcl({ wait_for_attestation: '20s' }))
    half.change({
      sleep: async () => {
        keylime.verifier.set(node.agentId, { attestation_status: 'PASS', attestation_count: 1 })
      },
    })
    expect(await half.attest(tpmNode(node))).toMatchObject({ status: 'OK' })
  })

  it('fails without a verdict when the verifier does not show the evidence', async () => {
    const node = fresh()
    keylime.verifier.fail('attestation', answerWith(500))
    await using half = await startInProcess(keylime.serverHcl())
    expect(await half.attest(tpmNode(node))).toMatchObject({
      status: 'UNAVAILABLE',
      message: holding('[KL-KEYLIME-UNAVAILABLE]'),
    })
    keylime.verifier.clearFaults()
  })
})
