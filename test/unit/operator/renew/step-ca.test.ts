import { X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RunOutcome, runPlan } from '../../../../operator/plan/run.ts'
import { readCertSpecs } from '../../../../operator/renew/cert-spec.ts'
import { renewalPlan } from '../../../../operator/renew/renewal.ts'
import { renewAtStepCa } from '../../../../operator/sources/step-ca.ts'
import { type FakeStepCa, startFakeStepCa } from '../../../fakes/fake-step-ca.ts'
import { newTestPki, type TestCa, type TestPki } from '../../../fakes/pki.ts'

let pki: TestPki
let ca: TestCa
let step: FakeStepCa
let folder: string
const at = (name: string): string => join(folder, name)

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'step-ca-'))
  pki = newTestPki()
  const root = await pki.root('Root')
  ca = await root.intermediate('Step')
  step = await startFakeStepCa(ca, root.pem)
  writeFileSync(at('ca.crt'), ca.pem)
  await present({})
})
afterEach(async () => {
  await step.close()
  pki.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** Puts a pair in place that is to be renewed. */
async function present(options: Parameters<TestCa['issue']>[1], from: TestCa = ca): Promise<void> {
  const pair = await from.issue('auth.example.org', { dns: ['auth.example.org'], ...options })
  writeFileSync(at('agent.crt'), pair.chainPem)
  writeFileSync(at('agent.key'), pair.keyPem())
}

const say = (): void => undefined

/** Renews by the description that an operator would write. */
function renew(address = step.address): Promise<RunOutcome> {
  mkdirSync(at('certs.d'), { recursive: true })
  const lines = {
    cert_file: at('agent.crt'),
    key_file: at('agent.key'),
    common_name: 'auth.example.org',
    issuer: 'step-ca',
    address,
    ca_file: at('ca.crt'),
  }
  const text = Object.entries(lines).map(([key, value]) => `${key} = "${value}"`)
  writeFileSync(at('certs.d/agent.hcl'), [...text, 'dns_names = ["auth.example.org"]'].join('\n'))
  const [spec] = readCertSpecs(at('certs.d'))
  if (spec === undefined) throw new Error('no description')
  const plan = renewalPlan(spec, { timeoutMs: 3_000, now: Date.now(), say })
  return runPlan(plan, {
    dryRun: false,
    yes: true,
    journalFolder: at('journal'),
    say,
    signal: AbortSignal.timeout(30_000),
  })
}

const files = (): string => readFileSync(at('agent.crt'), 'utf8') + readFileSync(at('agent.key'), 'utf8')
const leaf = (): X509Certificate => new X509Certificate(readFileSync(at('agent.crt')))

describe('a renewal at step-ca', () => {
  it('rekeys by the certificate itself, with a key made on this host, and puts the chain in place', async () => {
    const before = leaf()
    const outcome = await renew()
    expect([outcome.exit, outcome.messages, step.seen]).toEqual([0, [], ['POST /rekey 201']])
    expect(leaf().publicKey.equals(before.publicKey)).toBe(false)
    expect([leaf().subject, leaf().checkIssued(ca.x509)]).toEqual([before.subject, true])
    expect(readFileSync(at('agent.crt'), 'utf8').match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    // The new pair renews itself too.
    expect((await renew()).exit).toBe(0)
  })

  it('leaves the files alone when the certificate is not taken any more, and says what to do: exit 75', async () => {
    await present({ validity: 'expired' })
    const before = files()
    const expired = await renew()
    expect([expired.exit, expired.messages[0], expired.error]).toEqual([
      75,
      expect.stringMatching(
        /POST \/rekey: answered 401: .*the certificate has expired or its provisioner does not renew/,
      ),
      expect.objectContaining({ code: 'TK-PKI-DENIED' }),
    ])
    expect(files()).toBe(before)
    await present({}, await pki.root('Other'))
    expect((await renew()).exit).toBe(75)
  })

  it('leaves the files alone when the CA is away, is another one, or answers what is no certificate', async () => {
    const before = files()
    for (const [status, body, words] of [
      [
        500,
        '{"status":500,"message":"The certificate authority\\nencountered an error."}',
        /answered 500: The certificate authority encountered an error\.; look at the CA's log/,
      ],
      [201, '{"crt": 7}', /the answer does not have the shape of step-ca's/],
      [201, 'no JSON', /the answer does not have the shape of step-ca's/],
    ] as const) {
      step.answer = { status, body }
      const refused = await renew()
      expect([refused.exit, refused.messages[0]]).toEqual([75, expect.stringMatching(words)])
    }
    step.answer = { status: 201, body: JSON.stringify({ crt: 'no certificate' }) }
    const unreadable = await renew()
    expect([unreadable.exit, unreadable.messages[0]]).toEqual([
      2,
      expect.stringContaining('the issuer sent no certificate that can be read'),
    ])
    step.answer = undefined
    const { address } = step
    const other = await pki.root('Other')
    const stranger = await startFakeStepCa(other, other.pem)
    const untrusted = await renew(stranger.address)
    await stranger.close()
    expect([untrusted.exit, untrusted.messages[0]]).toEqual([
      75,
      expect.stringContaining(`its certificate comes from no CA of ${at('ca.crt')}`),
    ])
    await step.close()
    const away = await renew(address)
    expect([away.exit, away.messages[0]]).toEqual([75, expect.stringContaining('nobody listens there')])
    expect(files()).toBe(before)
  })
})

describe('names at step-ca', () => {
  it('are those of the certificate that is renewed, and it says so when others are wanted', async () => {
    await present({ dns: ['ca.example.org'] })
    const before = files()
    const lacking = await renew()
    expect([lacking.exit, lacking.messages[0]]).toEqual([
      2,
      expect.stringMatching(
        /lacks the names auth\.example\.org: step-ca keeps those of the certificate that it renews; get a first one with them$/,
      ),
    ])
    expect(files()).toBe(before)
  })
})

describe('the client of step-ca', () => {
  it('renews with the old key where no request is given, and takes the issuer from an answer without a chain', async () => {
    const place = {
      name: 'step-ca',
      address: step.address,
      caFile: at('ca.crt'),
      client: { certFile: at('agent.crt'), keyFile: at('agent.key') },
      timeoutMs: 3_000,
    }
    const renewed = await renewAtStepCa(place, undefined)
    const made = new X509Certificate(renewed.certificate)
    expect([step.seen, made.publicKey.equals(leaf().publicKey)]).toEqual([['POST /renew 201'], true])
    expect(made.serialNumber).not.toBe(leaf().serialNumber)
    expect(renewed.issuers).toEqual([ca.pem])
    step.answer = { status: 201, body: JSON.stringify({ crt: renewed.certificate, ca: ca.pem }) }
    expect((await renewAtStepCa(place, undefined)).issuers).toEqual([ca.pem])
  })

  it('ends when its caller does', async () => {
    const place = { name: 'step-ca', address: step.address, caFile: at('ca.crt'), timeoutMs: 3_000 }
    await expect(renewAtStepCa(place, undefined, AbortSignal.abort())).rejects.toMatchObject({ code: 'TK-PKI-AWAY' })
    await expect(renewAtStepCa(place, undefined)).rejects.toMatchObject({
      code: 'TK-PKI-DENIED',
      message: expect.stringContaining('answered 401') as unknown,
    })
  })
})
