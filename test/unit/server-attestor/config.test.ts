import { chmodSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../../server-attestor/config.ts'
import { serverPlugin } from '../../../server-attestor/plugin.ts'
import { SERVER_SCHEMA } from '../../../server-attestor/schema.ts'
import { type HclValues, hcl } from '../../fakes/fake-keylime.ts'
import { newTestPki, type TestCa, type TestPki } from '../../fakes/pki.ts'
import { holding, matching } from './expecting.ts'
import { type LogLine, noHosts, recordedLog } from './in-process.ts'

let pki: TestPki
let ca: TestCa
let files: HclValues

beforeAll(async () => {
  pki = newTestPki()
  ca = await pki.root('Keylime Certificate Authority')
  const { certFile, keyFile } = pki.writePair('client', await ca.issue('spire-server'))
  files = {
    keylime_tls_ca_cert_file: pki.write('ca.crt', ca.pem),
    keylime_tls_cert_file: certFile,
    keylime_tls_key_file: keyFile,
  }
})
afterAll(() => pki.remove())

const read = (text: string) => readConfig({ trustDomain: 'example.org', hcl: text })
const under = (length: number) => readConfig({ trustDomain: 'a'.repeat(length), hcl: hcl(files) })
const readWith = (values: HclValues) => read(hcl({ ...files, ...values }))

describe('readConfig', () => {
  it('fills in every default', () => {
    const { problems, warnings, config } = readWith({})
    expect([problems, warnings]).toEqual([[], []])
    expect(config).toMatchObject({
      trustDomain: 'example.org',
      waitMs: 0,
      allowedHashAlgs: ['sha256', 'sha384', 'sha512'],
      gate: { requirePolicy: [], enforce: true },
      identity: { allowDefaultUuid: false, requireEkUuid: false, ekAnchors: undefined },
      services: {
        verifiers: [{ host: '127.0.0.1', port: 8881 }],
        registrars: [{ host: '127.0.0.1', port: 8891 }],
        requestTimeoutMs: 5_000,
        opinionTtlMs: 86_400_000,
      },
    })
  })

  it('says how long an agent ID may be under a long trust domain, and refuses one that leaves no room', () => {
    expect(under(145)).toMatchObject({ problems: [], warnings: [] })
    expect(under(191)).toMatchObject({
      problems: [],
      warnings: [holding('the trust domain leaves 34 characters for an agent ID: nodes with a longer one')],
    })
    expect(under(224)).toMatchObject({ problems: [], warnings: [holding('leaves 1 characters')] })
    expect(under(225).problems).toEqual([matching(/^trust domain a+ leaves no room for an agent ID in a SPIFFE ID$/)])
  })

  it('loads the production block of the Go pair unchanged, and says what its policy is worth [T06] [P01] [P07]', () => {
    const { problems, warnings, config } = readWith({
      keylime_verifier_host: 'verifier.keylime.funlab.casa',
      keylime_verifier_port: '443',
      keylime_registrar_host: 'registrar.keylime.funlab.casa',
      keylime_registrar_port: '443',
      tpm_policy: '{"mask": "0x90"}',
    })
    expect(problems).toEqual([])
    expect(warnings).toEqual([holding('tpm_policy: the pinned policy {"mask":"0x90"} checks nothing')])
    expect(config?.services.verifiers).toEqual([{ host: 'verifier.keylime.funlab.casa', port: 443 }])
    expect(config?.gate.pinnedPolicy?.mask).toBe(0x90)
  })

  it('takes the names that the Go plugin ignored in silence, with a warning, and ignores tpm_path with one [P07]', () => {
    const { keylime_tls_cert_file: cert = '', keylime_tls_key_file: key = '', ...rest } = files
    const { problems, warnings } = read(
      hcl({
        ...rest,
        keylime_tls_client_cert_file: cert,
        keylime_tls_client_key_file: key,
        tpm_path: '/dev/tpmrm0',
      }),
    )
    expect(problems).toEqual([])
    expect(warnings).toEqual([
      matching(/^2:1: keylime_tls_client_cert_file: another name of "keylime_tls_cert_file"/),
      matching(/^3:1: keylime_tls_client_key_file: another name of "keylime_tls_key_file"/),
      matching(/^4:1: tpm_path: ignored/),
    ])
  })

  it('refuses an unknown key and names the one that was meant [T80] [P07]', () => {
    expect(readWith({ keylime_registar_host: 'x' }).problems).toEqual([
      '4:1: keylime_registar_host: unknown key; did you mean "keylime_registrar_host"?',
    ])
    expect(readWith({ verifier_url: 'https://x' }).problems).toEqual([holding('verifier_url: unknown key')])
  })

  it('reports every problem at once, with line and column, in order', () => {
    const { problems, config } = readWith({
      keylime_verifier_port: 0,
      keylime_verifier_host: 'https://verifier',
      request_timeout: '5',
      wait_for_attestation: '1h',
      require_policy: ['pcr:16', 'ima'],
      tpm_policy: '{"mask": 144}',
      allowed_hash_algs: ['sha1'],
      allow_default_uuid: true,
      require_ek_uuid: true,
      ek_ca_path: '/nonexistent/makers',
      keylime_tls_key_file: '/nonexistent/key.pem',
    })
    expect(config).toBeUndefined()
    expect(problems.map((problem) => problem.replace(/^(\d+:\d+: )?(\w+).*$/, '$2'))).toEqual([
      'keylime_verifier_port',
      'keylime_verifier_host',
      'request_timeout',
      'wait_for_attestation',
      'require_policy',
      'require_policy',
      'tpm_policy',
      'allowed_hash_algs',
      'allow_default_uuid',
      'keylime_tls_key_file',
      'ek_ca_path',
    ])
  })

  it.each<[string, HclValues, string]>([
    [
      'keylime_verifiers beside a single verifier',
      { keylime_verifiers: ['a:1', 'b:2'], keylime_verifier_host: 'c' },
      'keylime_verifier_host: cannot be set together with "keylime_verifiers": name every verifier there',
    ],
    [
      'keylime_registrars beside a single registrar',
      { keylime_registrars: ['a:1'], keylime_registrar_port: 2 },
      'keylime_registrar_port: cannot be set together with "keylime_registrars"',
    ],
    ['one verifier twice', { keylime_verifiers: ['a:1', 'b:1', 'a:1'] }, 'keylime_verifiers: names "a:1" twice'],
    ['a verifier without port', { keylime_verifiers: ['a'] }, 'expected "host:port"'],
    ['a bare IPv6 address', { keylime_verifiers: ['::1'] }, 'expected "host:port"'],
    ['an empty list', { keylime_verifiers: [] }, 'keylime_verifiers: '],
    [
      'a requirement no TPM policy can meet',
      { require_policy: ['pcr:10'] },
      'not 10 or 16, which Keylime never compares',
    ],
    [
      'a pinned policy that never meets what is required',
      { tpm_policy: '{"mask": "0x90"}', require_policy: ['pcr:7', 'runtime'] },
      'tpm_policy: can never meet "pcr:7" of "require_policy"',
    ],
    [
      "a pinned policy that every PC passes, Keylime's own example, where PCRs must be checked [claims:policy:pcr]",
      { tpm_policy: `{"22": ["${'f'.repeat(64)}"], "15": ["${'0'.repeat(64)}"]}`, require_policy: ['pcr'] },
      'tpm_policy: can never meet "pcr" of "require_policy": no PCR that tells of the boot compared',
    ],
    [
      'a boot log to be checked by a verifier that accepts all [claims:policy:measured-boot]',
      { verifier_measured_boot_policy_name: 'accept-all', require_policy: ['measured-boot'] },
      'verifier_measured_boot_policy_name: can never meet "measured-boot" of "require_policy"',
    ],
    ['dates of nothing', { require_ek_dates: true }, 'require_ek_dates: needs "ek_ca_path"'],
    [
      'a measured boot policy that is no name',
      { verifier_measured_boot_policy_name: '{"any": 1}' },
      'verifier_measured_boot_policy_name: ',
    ],
  ])('refuses %s', (_, values, message) => {
    expect(readWith(values).problems[0]).toEqual(holding(message))
  })

  it('warns that a boot log is required which nobody vouches for [claims:policy:measured-boot]', () => {
    const unsaid = readWith({ require_policy: ['measured-boot'] })
    expect(unsaid.problems).toEqual([])
    expect(unsaid.warnings).toEqual([
      matching(
        /^require_policy: "measured-boot" is met by a reference state being enrolled; .*verifier_measured_boot_policy_name/,
      ),
    ])
    expect(readWith({ require_policy: ['measured-boot-enrolled'] }).warnings).toEqual([])
    const said = readWith({ require_policy: ['measured-boot'], verifier_measured_boot_policy_name: 'example' })
    expect(said).toMatchObject({ problems: [], warnings: [], config: { gate: { measuredBoot: 'compares' } } })
  })

  it('takes several verifiers, IPv6 among them, and the registrar beside the first', () => {
    const { config } = readWith({ keylime_verifiers: ['[::1]:8881', 'v2.example.org:443'] })
    expect(config?.services.verifiers).toEqual([
      { host: '::1', port: 8881 },
      { host: 'v2.example.org', port: 443 },
    ])
    expect(config?.services.registrars).toEqual([{ host: '::1', port: 8891 }])
  })

  it('reads JSON as from a plugin_data_file', () => {
    expect(read(JSON.stringify({ ...files, keylime_verifier_port: 443 })).config?.services.verifiers[0]?.port).toBe(443)
  })

  it('refuses an empty value of each key that adds a check [config:empty:refused]', () => {
    for (const key of ['ek_ca_path', 'tpm_policy', 'verifier_measured_boot_policy_name', 'max_attestation_age']) {
      expect(readWith({ [key]: '' }).problems).toEqual([
        matching(new RegExp(`^\\d+:1: ${key}: empty: was a variable not set\\?`)),
      ])
    }
    expect(readWith({ keylime_verifier_server_name: '' }).problems).toEqual([])
  })

  it('shows the host that it refuses [files:wrong:named]', () => {
    expect(readWith({ keylime_verifier_host: 'https://verifier:8881/' }).problems).toEqual([
      holding('without scheme, port or brackets, found "https://verifier:8881/"'),
    ])
    expect(readWith({ keylime_verifiers: ['verifier'] }).problems).toEqual([
      holding('expected "host:port", found "verifier"'),
    ])
  })

  it('shows no key that stands where its path should [config:secret:unseen]', () => {
    const pem = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n'
    const bare = 'MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF'
    const forms = [
      pem,
      pem.replaceAll('\n', '\r\n'),
      pem.replaceAll('\n', '\\n'),
      pem.replaceAll('\n', ' '),
      bare,
      `${bare}:1`,
    ]
    for (const key of Object.keys(SERVER_SCHEMA.fields)) {
      for (const form of [...forms, [pem], { pem }]) {
        const { problems, warnings } = read(JSON.stringify({ ...files, [key]: form }))
        const said = [...problems, ...warnings].join()
        expect(said).toContain(`${key}: `)
        expect(said).not.toMatch(/c2Vj|BEGIN|MC4C|K2Vw/)
      }
    }
  })

  describe('about its files', () => {
    it('finds a key of another certificate, and names both files [T23] [T29]', async () => {
      const other = pki.writePair('other', await ca.issue('other'))
      expect(readWith({ keylime_tls_key_file: other.keyFile }).problems).toEqual([
        matching(/^keylime_tls_key_file .*other.*: is not the key of keylime_tls_cert_file/),
      ])
    })

    it('says who may not read what [T29] [P20]', () => {
      const path = pki.write('secret.key', 'x')
      chmodSync(path, 0o000)
      // Root reads everything, and then finds no key in it.
      expect(readWith({ keylime_tls_key_file: path }).problems).toEqual([holding(`keylime_tls_key_file ${path}: `)])
    })

    it('names an expired certificate, and warns of one that soon will be [T64]', async () => {
      const expired = pki.writePair('expired', await ca.issue('expired', { validity: 'expired' }))
      const values = { keylime_tls_cert_file: expired.certFile, keylime_tls_key_file: expired.keyFile }
      expect(readWith(values).problems).toEqual([matching(/^keylime_tls_cert_file .*: CN=expired .*expired/)])
      const soon = pki.writePair('soon', await ca.issue('soon', { validity: 'expires-soon' }))
      const { problems, warnings } = readWith({
        keylime_tls_cert_file: soon.certFile,
        keylime_tls_key_file: soon.keyFile,
      })
      expect(problems).toEqual([])
      expect(warnings).toEqual([matching(/^keylime_tls_cert_file .*: CN=soon/)])
    })

    it('is content with an intermediate alone as CA, and with several roots [T28] [P11]', async () => {
      const intermediate = await ca.intermediate('Book of Omens')
      for (const pem of [intermediate.pem, (await pki.root('another root')).pem + ca.pem]) {
        expect(readWith({ keylime_tls_ca_cert_file: pki.write('some-ca.crt', pem) }).problems).toEqual([])
      }
    })
  })
})

function build(text: string, mode: 'configure' | 'validate', lines: LogLine[] = []) {
  const context = { mode, log: recordedLog(lines), hosts: noHosts() }
  return serverPlugin().config?.build({ trustDomain: 'example.org', hcl: text }, context)
}

describe('serverPlugin', () => {
  it('validates with every problem and without a configuration, and has no problem with a good one', async () => {
    const good = await build(hcl(files), 'validate')
    expect(good).toEqual({ problems: [], warnings: [] })
    const bad = await build(hcl({ ...files, nonsense: 1, keylime_verifier_port: 70_000 }), 'validate')
    expect(bad?.problems).toHaveLength(2)
  })

  it('logs the configuration in force, with whose certificate it shows [P07]', async () => {
    const lines: LogLine[] = []
    const outcome = await build(hcl(files), 'configure', lines)
    expect(lines).toMatchObject([
      {
        message: 'Configured',
        fields: {
          verifiers: '127.0.0.1:8881',
          registrars: '127.0.0.1:8891',
          cert_subject: holding('spire-server'),
          cert_issuer: holding('Keylime Certificate Authority'),
        },
      },
    ])
    if (outcome?.config !== undefined) await serverPlugin().config?.dispose?.(outcome.config)
  })
})
