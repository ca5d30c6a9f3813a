import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { issueEkCertificate, newEkCa } from '../fakes/ek-certificate.ts'
import { EXPLICIT_CURVES } from '../fakes/explicit-curves.ts'
import { type FakeKeylime, type HclValues, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { type FakeNode, newFakeNode } from '../fakes/fake-node.ts'
import { reissued, subjectKey } from '../fakes/reissued.ts'
import { SoftwareTpm } from '../fakes/software-tpm.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

const DEFAULT_UUID = 'd432fbb3-d2f1-4a97-9ef7-75bd81c00000'
const PCR_7 = 'a'.repeat(64)
let keylime: FakeKeylime
let plugin: ServerPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ nodes: 2, ak: 'ec-p256', ekCertificates: true })
})
beforeEach(async () => {
  plugin = await ServerPlugin.start()
  return () => plugin.stop()
})
afterAll(() => keylime.close())

const configure = async (rules: HclValues): Promise<void> => {
  expect(await plugin.configure(keylime.serverHcl(rules))).toEqual({ status: 'OK', message: '' })
}
const denied = (message: string | RegExp) => ({ status: 'PERMISSION_DENIED', message: matching(message) })
const admitted = { status: 'OK', message: '' }

function newHost(agentId?: string, ekcert?: string): FakeNode {
  const tpm = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
  const node = newFakeNode(agentId ?? tpm.ekUuid, tpm)
  register(node, ekcert)
  return node
}

function register({ agentId, tpm }: FakeNode, ekcert?: string): void {
  const address = { ip: '10.0.0.9', port: 9002 }
  keylime.registrar.register({
    agent_id: agentId,
    ek_tpm: tpm.ekTpm.toString('base64'),
    aik_tpm: tpm.akTpm.toString('base64'),
    ...(ekcert !== undefined && { ekcert }),
    ...address,
  })
  keylime.verifier.enrol(agentId, tpm.akTpm)
}

describe('the identity of a node', () => {
  it('is refused under the ID that every unconfigured agent claims, unless allowed [T08] [P06]', async () => {
    const node = newHost(DEFAULT_UUID)
    await configure({})
    expect(await plugin.attest(node)).toEqual(denied(/names no host.*KL-ID-DEFAULT-UUID/))
    await configure({ allow_default_uuid: true })
    expect(await plugin.attest(node)).toMatchObject(admitted)
  })

  it('is refused to the second host that claims an ID in use, naming both [T84] [P06]', async () => {
    await configure({ allow_default_uuid: true })
    const [first, second] = [newHost(DEFAULT_UUID), newHost('other')]
    register(first)
    expect(await plugin.attest(first)).toMatchObject(admitted)
    const twin = newFakeNode(DEFAULT_UUID, second.tpm)
    // The second host proves nothing against the record of the first.
    expect(await plugin.attest(twin)).toEqual(
      denied(
        /^identity quote rejected: .*log names the host that is registered under this agent id \[KL-QUOTE-REJECTED\]$/,
      ),
    )
    await expect
      .poll(
        () => plugin.logs().some(({ raw }) => /registered for the TPM with EK [0-9a-f]{16} at 10\.0\.0\.9/.test(raw)),
        {
          timeout: 10_000,
        },
      )
      .toBe(true)
    // Nor does it help to register over it, as a registrar before 7.14.0 allows.
    register(twin)
    expect(await plugin.attest(twin)).toEqual(
      denied(/in use by the TPM with EK [0-9a-f]{16}.*this host has EK [0-9a-f]{16}.*KL-ID-IN-USE/),
    )
    await expect
      .poll(() => plugin.logs().some(({ raw }) => raw.includes('KL-ID-IN-USE')), { timeout: 10_000 })
      .toBe(true)
  })

  it('passes to another TPM once the operator has evicted the node that held it', async () => {
    await plugin.stop()
    const first = newHost('replaced')
    const agents = new Set([`spiffe://example.org/spire/agent/keylime/${first.agentId}`])
    plugin = await ServerPlugin.start({ hcl: keylime.serverHcl(), agents })
    expect(await plugin.attest(first)).toMatchObject(admitted)
    const second = newFakeNode('replaced', new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' }))
    register(second)
    expect(await plugin.attest(second)).toEqual(denied('KL-ID-IN-USE'))
    agents.clear()
    expect(await plugin.attest(second)).toMatchObject(admitted)
  })

  it('must be the hash of its endorsement key where that is required [T15]', async () => {
    await configure({ require_ek_uuid: true })
    expect(await plugin.attest(newHost())).toMatchObject(admitted)
    const named = newHost('named-by-hand')
    expect(await plugin.attest(named)).toEqual(denied(named.tpm.ekUuid))
  })

  it('must have an EK certificate of a known maker where that is required [T13]', async () => {
    await configure({ ek_ca_path: keylime.ekCaFile })
    const outcome = await plugin.attest(keylime.node())
    expect(outcome).toMatchObject(admitted)
    expect(outcome.attributes?.selectorValues.some((value) => /^ek:ca:.*[0-9a-f]{64}$/.test(value))).toBe(true)
    expect(await plugin.attest(newHost('without-certificate'))).toEqual(denied('no EK certificate'))

    const { issuer } = await newEkCa(keylime.pki)
    const stranger = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
    const node = newFakeNode(stranger.ekUuid, stranger)
    register(node, (await issueEkCertificate(issuer, stranger)).x509.raw.toString('base64'))
    expect(await plugin.attest(node)).toEqual({
      status: 'FAILED_PRECONDITION',
      message: matching(/its issuer is not in ek_ca_path: CN=swtpm-localca .*\[KL-EK-ISSUER-UNKNOWN\]$/),
    })
  })

  it('is told that its EK certificate cannot be read, which is no verdict [claims:ek:key-forms]', async () => {
    await configure({ ek_ca_path: keylime.ekCaFile })
    const node = newHost('odd-certificate', Buffer.from('3003020100', 'hex').toString('base64'))
    expect(await plugin.attest(node)).toEqual({
      status: 'FAILED_PRECONDITION',
      message: matching(/its EK certificate cannot be read: it does not parse \[KL-EK-UNREADABLE\]$/),
    })
  })

  it('does not end when the CA of its TPM maker does, and is warned of before [claims:ek:dates]', async () => {
    const maker = await keylime.pki.root('Maker that is over', { validity: 'expired' })
    const file = keylime.pki.write('over.pem', maker.pem)
    const tpm = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
    const node = newFakeNode(tpm.ekUuid, tpm)
    register(node, (await issueEkCertificate(maker, tpm)).x509.raw.toString('base64'))
    await configure({ ek_ca_path: file })
    expect(await plugin.attest(node)).toMatchObject(admitted)
    expect(plugin.logs('warn').map(({ raw }) => raw)).toContainEqual(
      matching(/ek_ca_path: CA certificates that are out of date or soon will be: CN=Maker that is over expired since/),
    )
    await expect
      .poll(() => plugin.logs('info').some(({ fields }) => /Maker that is over/.test(String(fields['ek_certificate']))))
      .toBe(true)
    await configure({ ek_ca_path: file, require_ek_dates: true })
    expect(await plugin.attest(node)).toEqual({
      status: 'FAILED_PRECONDITION',
      message: matching(/CN=Maker that is over in ek_ca_path is expired since .*\[KL-EK-DATES\]$/),
    })
  })

  it('is admitted with the certificate forms of older makers, and with an AK on P-521 [claims:ek:key-forms]', async () => {
    const maker = await keylime.pki.root('Older maker')
    await configure({ ek_ca_path: keylime.pki.write('older.pem', maker.pem) })
    const tpm = new SoftwareTpm({ ek: 'ec-p384', ak: 'ec-p521', hash: 'sha512' })
    const { x = '', y = '' } = tpm.ek.publicKey.export({ format: 'jwk' })
    const sign = 2 + ((Buffer.from(y, 'base64url').at(-1) ?? 0) & 1)
    const point = Buffer.concat([Buffer.from([sign]), Buffer.from(x, 'base64url')])
    const explicit = subjectKey('1.2.840.10045.2.1', Buffer.from(EXPLICIT_CURVES['ec-p384'], 'hex'), point)
    const { x509 } = await issueEkCertificate(maker, tpm)
    const node = newFakeNode(tpm.ekUuid, tpm)
    register(node, reissued(Buffer.from(x509.raw), maker, { key: explicit }).toString('base64'))
    expect(await plugin.attest(node)).toMatchObject(admitted)
  })

  it('is refused with the EK certificate of another TPM [T13]', async () => {
    const root = await keylime.pki.root('Maker')
    const [own, other] = [new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' }), new SoftwareTpm({ ek: 'ec-p256' })]
    const node = newFakeNode(own.ekUuid, own)
    register(node, (await issueEkCertificate(root, other)).x509.raw.toString('base64'))
    await configure({ ek_ca_path: keylime.pki.write('maker.pem', root.pem) })
    // The registrar takes any certificate from anybody, so this says nothing about the host that is meant.
    expect(await plugin.attest(node)).toEqual({
      status: 'INTERNAL',
      message: matching(/^keylime registrar, asked for agent .*\[KL-KEYLIME-BAD-ANSWER\]$/),
    })
    await expect
      .poll(() => plugin.logs().some(({ raw }) => raw.includes('EK certificate is for another key')), {
        timeout: 10_000,
      })
      .toBe(true)
  })

  it('is refused when the registered TPM changes without a new enrolment [T61]', async () => {
    await configure({})
    const node = newHost('rebuilt')
    expect(await plugin.attest(node)).toMatchObject(admitted)
    const replaced = newFakeNode('rebuilt', new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' }))
    keylime.registrar.register({
      agent_id: 'rebuilt',
      ek_tpm: replaced.tpm.ekTpm.toString('base64'),
      aik_tpm: replaced.tpm.akTpm.toString('base64'),
    })
    expect(await plugin.attest(replaced)).toMatchObject({ status: 'PERMISSION_DENIED' })
  })
})

const policyOf = (node: FakeNode, policy: object, more: object = {}): void =>
  keylime.verifier.set(node.agentId, { tpm_policy: JSON.stringify(policy), ...more })

describe('the policy of a node', () => {
  it('that only quotes is admitted with policy:none and one warning, and refused where it must check [T79] [P01]', async () => {
    const node = newHost()
    policyOf(node, { mask: '0x90' }, { has_runtime_policy: 1 })
    await configure({})
    const outcome = await plugin.attest(node)
    expect(outcome.attributes?.selectorValues).toContain('policy:none')
    await plugin.attest(node)
    const warnings = (): number =>
      plugin.logs('warn').filter(({ message }) => message.includes('checks nothing')).length
    await expect.poll(warnings, { timeout: 10_000 }).toBe(1)
    for (const required of ['pcr', 'pcr:7', 'measured-boot', 'runtime']) {
      await configure({ require_policy: [required] })
      expect(await plugin.attest(node)).toEqual(denied(new RegExp(`does not check ${required}.*PCR 4, 7 only quoted`)))
    }
  })

  it('gives a selector for what is really checked', async () => {
    const node = newHost()
    policyOf(node, { mask: '0x480', 7: [PCR_7] }, { has_runtime_policy: 1 })
    await configure({ require_policy: ['pcr:7', 'runtime'] })
    const { attributes } = await plugin.attest(node)
    const policies = attributes?.selectorValues.filter((value) => /^policy:(?!sha256)/.test(value))
    expect(policies?.toSorted()).toEqual(['policy:pcr:7', 'policy:runtime'])
  })

  it('gives no stronger selector for a boot log than the operator vouches for [claims:policy:measured-boot]', async () => {
    const node = newHost()
    policyOf(node, { mask: '0xfbff' }, { has_mb_refstate: 1 })
    const policies = async (): Promise<readonly string[] | undefined> =>
      (await plugin.attest(node)).attributes?.selectorValues.filter((value) => /^policy:(?!sha256)/.test(value))
    await configure({ require_policy: ['measured-boot'] })
    expect(await policies()).toEqual(['policy:measured-boot-enrolled'])
    expect(plugin.logs('warn').map(({ raw }) => raw)).toContainEqual(matching(/whether the verifier compares anything/))
    await configure({ verifier_measured_boot_policy_name: 'example', require_policy: ['measured-boot'] })
    expect(await policies()).toEqual(['policy:measured-boot-enrolled', 'policy:measured-boot'])
    await configure({ verifier_measured_boot_policy_name: 'accept-all' })
    expect(await policies()).toEqual(['policy:none'])
  })

  it("that is Keylime's own example is refused where PCRs must be checked [claims:policy:pcr]", async () => {
    const node = newHost()
    policyOf(node, {
      22: [`${'0'.repeat(39)}1`, 'f'.repeat(40), 'f'.repeat(64)],
      15: ['0'.repeat(40), '0'.repeat(64)],
      mask: '0x408000',
    })
    await configure({ require_policy: ['pcr'] })
    expect(await plugin.attest(node)).toEqual(
      denied(/does not check pcr; it is: no PCR that tells of the boot compared, .*\[KL-POLICY-WEAK\]$/),
    )
  })

  it('must equal the pinned one, whatever its spelling', async () => {
    const node = newHost()
    policyOf(node, { 7: [PCR_7.toUpperCase()], mask: '0x80' })
    await configure({ tpm_policy: JSON.stringify({ mask: '0x80', 7: PCR_7 }) })
    expect(await plugin.attest(node)).toMatchObject(admitted)
    policyOf(node, { mask: '0x80' })
    expect(await plugin.attest(node)).toEqual(denied(/enrolled tpm_policy is.*pinned is/))
  })
})

describe('shadow mode', () => {
  it('admits what only our own clauses refuse, and logs and counts it; verdicts and quotes still refuse', async () => {
    await plugin.stop()
    plugin = await ServerPlugin.start({ metrics: true })
    await configure({ enforce: false, require_policy: ['pcr'], require_ek_uuid: true })
    const node = newHost('shadow')
    keylime.verifier.set('shadow', { attestation_count: 0 })
    expect(await plugin.attest(node)).toMatchObject(admitted)
    const clauses = (): string =>
      plugin
        .logs('warn')
        .filter(({ message }) => message.startsWith('Shadow mode'))
        .map(({ fields }) => String(fields['clauses']))
        .join('\n')
    for (const code of ['KL-GATE-COUNT-ZERO', 'KL-POLICY-WEAK', 'KL-ID-NOT-EK-HASH']) {
      await expect.poll(clauses, { timeout: 10_000 }).toContain(code)
    }
    await expect
      .poll(() => plugin.metrics.filter(({ key }) => key.includes('shadow')).length, { timeout: 12_000 })
      .toBeGreaterThan(0)
    keylime.verifier.set('shadow', { operational_state: 9 })
    expect(await plugin.attest(node)).toEqual(denied('INVALID_QUOTE'))
    keylime.verifier.set('shadow', { operational_state: 3 })
    expect(await plugin.attest(node, { knobs: { signer: keylime.node().tpm } })).toEqual(denied('quote'))
  })
})

describe('wait_for_attestation', () => {
  it('holds the stream of a node that is not attested yet, and admits it when it is', async () => {
    await configure({ wait_for_attestation: '20s' })
    const node = newHost()
    keylime.verifier.set(node.agentId, { operational_state: 1 })
    keylime.verifier.resetStats()
    const outcome = plugin.attest(node)
    await expect.poll(() => keylime.verifier.stats.requests['agent'], { timeout: 10_000 }).toBeGreaterThan(1)
    keylime.verifier.set(node.agentId, { operational_state: 3 })
    expect(await outcome).toMatchObject(admitted)
  })

  it('ends with the last reason when its time is over, and does not wait on a verdict', async () => {
    await configure({ wait_for_attestation: '1s' })
    const node = newHost()
    keylime.verifier.set(node.agentId, { operational_state: 1 })
    expect(await plugin.attest(node)).toEqual({ status: 'FAILED_PRECONDITION', message: matching('1 START') })
    keylime.verifier.set(node.agentId, { operational_state: 9 })
    keylime.verifier.resetStats()
    expect(await plugin.attest(node)).toEqual(denied('INVALID_QUOTE'))
    expect(keylime.verifier.stats.requests['agent']).toBe(1)
  })

  it('stops asking when the caller goes', async () => {
    await configure({ wait_for_attestation: '60s' })
    const [gone, stays] = [newHost(), newHost()]
    for (const node of [gone, stays]) keylime.verifier.set(node.agentId, { operational_state: 1 })
    const reads = ({ agentId }: FakeNode): number =>
      keylime.verifier.seen.filter((path) => path.includes(agentId)).length
    const walk = new AbortController()
    const outcomes = [plugin.attest(gone, { signal: walk.signal }), plugin.attest(stays)] as const
    await expect.poll(() => Math.min(reads(gone), reads(stays)), { timeout: 10_000 }).toBeGreaterThan(1)
    walk.abort()
    expect(await outcomes[0]).toMatchObject({ status: 'CANCELLED' })
    const [before, other] = [reads(gone), reads(stays)]
    await expect.poll(() => reads(stays), { timeout: 15_000 }).toBeGreaterThan(other + 1)
    expect(reads(gone)).toBeLessThanOrEqual(before + 1)
    keylime.verifier.set(stays.agentId, { operational_state: 3 })
    expect(await outcomes[1]).toMatchObject(admitted)
  }, 40_000)
})

describe('metrics', () => {
  it('tell the host results, reasons, durations and what certificates have left [P34]', async () => {
    await plugin.stop()
    plugin = await ServerPlugin.start({ metrics: true })
    await configure({})
    const node = newHost()
    expect(await plugin.attest(node)).toMatchObject(admitted)
    keylime.verifier.set(node.agentId, { operational_state: 9 })
    expect(await plugin.attest(node)).toMatchObject({ status: 'PERMISSION_DENIED' })
    await expect
      .poll(() => plugin.metrics.some(({ labels }) => Object.values(labels).includes('KL-GATE-INVALID-QUOTE')), {
        timeout: 12_000,
      })
      .toBe(true)
    const keys = [...new Set(plugin.metrics.map(({ method, key }) => `${method} ${key}`))].toSorted()
    process.stdout.write(`${keys.join('\n')}\n`)
    expect(plugin.metrics.every(({ value }) => Number.isFinite(value))).toBe(true)
    // Labels are of few values: never an agent ID.
    expect(JSON.stringify(plugin.metrics)).not.toContain(node.agentId)
  })

  it('are not missed when the host offers none, and no attestation waits for a host that hangs', async () => {
    await configure({})
    expect(await plugin.attest(newHost())).toMatchObject(admitted)
    expect(plugin.logs('error')).toEqual([])
  })
})
