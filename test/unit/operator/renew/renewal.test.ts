import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OperatorError } from '../../../../operator/operator-error.ts'
import { type RunOutcome, runPlan } from '../../../../operator/plan/run.ts'
import { type CertSpec, readCertSpecs } from '../../../../operator/renew/cert-spec.ts'
import { renewalPlan } from '../../../../operator/renew/renewal.ts'
import { type FakeOpenBao, startFakeOpenBao } from '../../../fakes/fake-openbao.ts'
import { newTestPki, type TestCa, type TestPki } from '../../../fakes/pki.ts'

let pki: TestPki
let root: TestCa
let ca: TestCa
let bao: FakeOpenBao
let service: Server
let folder: string
const said: string[] = []

const at = (name: string): string => join(folder, name)

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'renew-'))
  pki = newTestPki()
  root = await pki.root('Root')
  ca = await root.intermediate('Book')
  bao = await startFakeOpenBao(ca, root.pem)
  writeFileSync(at('root.crt'), root.pem)
  writeFileSync(at('intermediate.crt'), ca.pem)
  writeFileSync(at('role-id'), `${bao.roleId}\n`)
  writeFileSync(at('secret-id'), bao.secretId)
  const first = await ca.issue('auth.example.org')
  writeFileSync(at('agent.crt'), first.chainPem)
  writeFileSync(at('agent.key'), first.keyPem())
  service = createServer({ cert: first.chainPem, key: first.keyPem() })
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  said.length = 0
})

afterEach(async () => {
  await bao.close()
  service.close()
  service.closeAllConnections()
  pki.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** The description of the service's certificate, with other lines besides. */
function spec(lines: readonly string[] = []): CertSpec {
  const text = [
    `cert_file = "${at('agent.crt')}"`,
    `key_file = "${at('agent.key')}"`,
    'common_name = "auth.example.org"',
    'dns_names = ["auth.example.org"]',
    'ip_addresses = ["127.0.0.1"]',
    `address = "${bao.address}"`,
    `ca_file = "${at('root.crt')}"`,
    'role = "agents"',
    `approle_role_id_file = "${at('role-id')}"`,
    `approle_secret_id_file = "${at('secret-id')}"`,
    ...lines,
  ].join('\n')
  const certs = mkdtempSync(join(folder, 'certs-'))
  writeFileSync(join(certs, 'agent.hcl'), text)
  const [found] = readCertSpecs(certs)
  if (found === undefined) throw new Error('no description')
  return found
}

/** A program that tells us that the service is to read its files. */
function reloading(): string {
  writeFileSync(at('reload.sh'), `#!/bin/sh\necho reloaded >> ${at('reloads')}\n`, { mode: 0o755 })
  return `reload = ["${at('reload.sh')}"]`
}

const reloads = (): number =>
  existsSync(at('reloads')) ? readFileSync(at('reloads'), 'utf8').split('\n').length - 1 : 0

/** The service reads its files whenever the program ran. */
function follow(): NodeJS.Timeout {
  let done = 0
  return setInterval(() => {
    if (reloads() <= done) return
    done = reloads()
    service.setSecureContext({ cert: readFileSync(at('agent.crt')), key: readFileSync(at('agent.key')) })
  }, 20)
}

const say = (line: string): void => void said.push(line)

function run(found: CertSpec): Promise<RunOutcome> {
  return runPlan(renewalPlan(found, { timeoutMs: 5_000, now: Date.now(), say }), {
    dryRun: false,
    yes: true,
    journalFolder: at('journal'),
    say,
    signal: new AbortController().signal,
  })
}

const files = (): string => readFileSync(at('agent.crt'), 'utf8') + readFileSync(at('agent.key'), 'utf8')
const handshakeLine = (): string => `handshake = "127.0.0.1:${(service.address() as AddressInfo).port}"`

describe('a renewal', () => {
  it('has a key of this host signed, swaps both files, reloads, and proves it by a handshake', async () => {
    const before = files()
    const following = follow()
    const outcome = await run(spec([reloading(), handshakeLine(), `trust_to_root = ["${at('root.crt')}"]`]))
    clearInterval(following)
    expect([outcome.exit, outcome.messages]).toEqual([0, []])
    expect(files()).not.toBe(before)
    const leaf = new X509Certificate(readFileSync(at('agent.crt')))
    expect(leaf.subject).toBe('CN=auth.example.org')
    expect(readFileSync(at('agent.crt'), 'utf8').match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    expect(outcome.steps.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'obtain done',
      'swap done',
      'reload done',
      'prove done',
    ])
    expect(JSON.stringify(outcome) + readFileSync(outcome.journal ?? '', 'utf8')).not.toMatch(/PRIVATE KEY/)
    expect(bao.seen).toEqual(['POST /v1/auth/approle/login 200', 'POST /v1/pki_int/sign/agents 200'])
  })

  it('leaves the files alone while OpenBao is sealed, away, or refuses: exit 75 [operator:renew:old-files-stay]', async () => {
    const before = files()
    bao.sealed = true
    const sealed = await run(spec())
    expect([sealed.exit, sealed.messages[0]]).toEqual([
      75,
      expect.stringMatching(/answered 503: Vault is sealed; unseal it/),
    ])
    bao.sealed = false
    writeFileSync(at('secret-id'), 'another')
    const denied = await run(spec())
    expect([denied.exit, denied.messages[0]]).toEqual([
      75,
      expect.stringMatching(/answered 400: invalid role or secret ID; look at the login/),
    ])
    const { address } = bao
    await bao.close()
    const away = await run({ ...spec(), address })
    expect([away.exit, away.messages[0]]).toEqual([75, expect.stringMatching(/nobody listens there/)])
    expect(files()).toBe(before)
  })

  it('says what a role forbids: exit 75', async () => {
    const outcome = await run({ ...spec(), dns_names: ['auth'] })
    expect(outcome.exit).toBe(75)
    expect(outcome.messages[0]).toMatch(
      /answered 400: subject alternate name auth not allowed by this role; compare the names/,
    )
  })

  it('does not put in place what a peer would refuse [P21]', async () => {
    const before = files()
    bao.withoutIssuers = true
    const outcome = await run(spec([`trust_to_root = ["${at('root.crt')}"]`]))
    expect(outcome.exit).toBe(2)
    expect(outcome.messages[0]).toMatch(
      /a peer that trusts .*root.crt \(to-root\) would refuse it: CN=auth.example.org lacks its issuer CN=Book$/,
    )
    expect(files()).toBe(before)
  })

  it('goes back to the old files when the service does not serve the new one [operator:renew:rolled-back]', async () => {
    const before = files()
    const outcome = await run(spec([handshakeLine(), 'handshake_within = "500ms"']))
    expect([outcome.exit, outcome.outcome]).toEqual([2, 'undone'])
    expect(outcome.messages[0]).toMatch(/presents CN=auth.example.org with serial .*: it has not read the new file/)
    expect(files()).toBe(before)
  })

  it('goes back and reloads again when the reload fails', async () => {
    const before = files()
    writeFileSync(at('fail.sh'), `#!/bin/sh\necho x >> ${at('reloads')}\necho cannot >&2\nexit 3\n`, { mode: 0o755 })
    const outcome = await run(spec([`reload = ["${at('fail.sh')}"]`]))
    expect([outcome.exit, outcome.messages[0]]).toEqual([2, expect.stringMatching(/fail.sh: ended with 3: cannot/)])
    expect([files(), reloads()]).toEqual([before, 2])
  })

  it('logs in with an SVID first, and with AppRole when it is not taken [P14] [P27]', async () => {
    const strange = await (await pki.root('Other')).issue('svid', { uri: ['spiffe://example.org/host'] })
    const known = await root.issue('svid', { uri: ['spiffe://example.org/host'] })
    const lines = [`svid_cert_file = "${at('svid.crt')}"`, `svid_key_file = "${at('svid.key')}"`]
    for (const pair of [known, strange]) {
      writeFileSync(at('svid.crt'), pair.chainPem)
      writeFileSync(at('svid.key'), pair.keyPem())
      expect((await run(spec(lines))).exit).toBe(0)
    }
    expect(bao.seen.filter((line) => line.includes('login'))).toEqual([
      'POST /v1/auth/cert/login 200',
      'POST /v1/auth/cert/login 400',
      'POST /v1/auth/approle/login 200',
    ])
    expect(said.find((line) => line.includes('AppRole'))).toMatch(
      /^agent: the SVID is not taken \(.*\); AppRole is tried$/,
    )
  })

  it('says what an SVID without a common name lacks', async () => {
    const nameless = await root.issue('', { uri: ['spiffe://example.org/host'] })
    writeFileSync(at('svid.crt'), nameless.chainPem)
    writeFileSync(at('svid.key'), nameless.keyPem())
    const login = [`svid_cert_file = "${at('svid.crt')}"`, `svid_key_file = "${at('svid.key')}"`]
    expect((await run(spec(login))).exit).toBe(0)
    expect(said.find((line) => line.includes('AppRole'))).toContain(
      'answered 500: missing name in alias; the certificate has no common name: give the SPIRE entry of the SVID a DNS name',
    )
  })

  it('of a client that one service knows announces it before it is shown', async () => {
    const outcome = await run(
      spec(['issuer = "self"', 'use = "client"', `announce_file = "${at('next.crt')}"`, reloading()]),
    )
    expect(outcome.steps.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'obtain done',
      'announce done',
      'swap done',
    ])
    expect(readFileSync(at('next.crt'), 'utf8')).toBe(readFileSync(at('agent.crt'), 'utf8'))
    expect([reloads(), new X509Certificate(readFileSync(at('agent.crt'))).keyUsage]).toEqual([1, ['1.3.6.1.5.5.7.3.2']])
  })
})

describe('a description of a certificate', () => {
  it('is refused with every problem at once', () => {
    const certs = mkdtempSync(join(folder, 'certs-'))
    writeFileSync(join(certs, 'a.hcl'), 'cert_file = "a.crt"\ncert_fil = "x"\ncommon_name = "a"')
    writeFileSync(join(certs, 'b.hcl'), 'cert_file = "/a.crt"\nkey_file = "/a.key"\ncommon_name = "a"')
    const refused = (() => {
      try {
        return readCertSpecs(certs)
      } catch (error) {
        return error instanceof OperatorError ? error : undefined
      }
    })()
    expect(refused).toMatchObject({ exit: 64 })
    expect(refused instanceof OperatorError ? refused.message : '').toMatch(
      /a.hcl:1:1: key_file: required, but not set.*a.hcl:1:13: cert_file: expected an absolute path.*cert_fil: unknown key; did you mean "cert_file"\?.*b.hcl:1:1: address: required.*role: required.*nothing to log in with/s,
    )
  })

  it('is not needed: no folder, nothing to renew', () => {
    expect(readCertSpecs(join(folder, 'none'))).toEqual([])
  })
})
