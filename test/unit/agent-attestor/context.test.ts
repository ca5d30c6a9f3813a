import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildContext } from '../../../agent-attestor/context.ts'
import type { BuildContext } from '../../../plugins/spire-sdk/index.ts'
import { type HclValues, hcl } from '../../fakes/fake-keylime.ts'
import { newTestPki, type TestPki } from '../../fakes/pki.ts'
import { newRecordingLog } from './recording-log.ts'

let pki: TestPki
let secure: HclValues

beforeAll(async () => {
  pki = newTestPki()
  const ca = await pki.root('agent clients')
  const { certFile, keyFile } = pki.writePair('client', await ca.issue('spire-agent'))
  secure = {
    keylime_agent_use_tls: true,
    keylime_agent_ca_cert: pki.write('ca.pem', ca.pem),
    keylime_agent_client_cert: certFile,
    keylime_agent_client_key: keyFile,
  }
})
afterAll(() => pki.remove())

async function build(text: string, mode: 'configure' | 'validate' = 'configure') {
  const { log, lines } = newRecordingLog()
  const {
    problems,
    warnings = [],
    config,
  } = buildContext({ hcl: text, trustDomain: 'example.org' }, { mode, log, hosts: {} as BuildContext['hosts'] })
  await config?.close()
  return { problems, warnings, config, lines }
}

const IN_THE_CLEAR =
  'keylime_agent_use_tls is false: evidence travels in the clear, and any local user can have this TPM quote; set it to true and enable_agent_mtls in the keylime agent'

describe('buildContext', () => {
  it('needs no key at all: the Go plugin had none that was required [T30]', async () => {
    const { problems, warnings, config } = await build('')
    expect(problems).toEqual([])
    expect(warnings).toEqual([IN_THE_CLEAR])
    expect(config).toMatchObject({ waitForAgentMs: 30_000 })
    expect(config?.evidence.name).toBe('keylime agent 127.0.0.1:9002')
  })

  it('takes the values as numbers, texts, and in JSON', async () => {
    for (const text of [
      'keylime_agent_host = "::1"\nkeylime_agent_port = 9003\nkeylime_agent_uuid = "node-7"\nwait_for_agent = "1m30s"',
      'keylime_agent_host = "::1"\nkeylime_agent_port = "9003"\nkeylime_agent_uuid = "node-7"\nwait_for_agent = "90s"',
      '{"keylime_agent_host":"::1","keylime_agent_port":"9003","keylime_agent_uuid":"node-7","wait_for_agent":"90s"}',
    ]) {
      const { problems, config } = await build(text)
      expect(problems).toEqual([])
      expect(config).toMatchObject({ waitForAgentMs: 90_000 })
      expect(config?.evidence.name).toBe('keylime agent [::1]:9003')
    }
  })

  it('refuses an empty CA file or ID, and warns of an empty CA file that has no effect [config:empty:refused]', async () => {
    const why = 'empty: was a variable not set? give it a value, or leave the key out to go without'
    const empty = 'keylime_agent_ca_cert = ""\nkeylime_agent_uuid = ""'
    expect((await build(`${empty}\nkeylime_agent_use_tls = true`)).problems).toEqual([
      `2:1: keylime_agent_uuid: ${why}`,
      `1:1: keylime_agent_ca_cert: ${why}`,
    ])
    const plain = await build('keylime_agent_ca_cert = ""')
    expect(plain.problems).toEqual([])
    expect(plain.warnings).toContain('1:1: keylime_agent_ca_cert: empty, so it counts as not set')
  })

  it('shows no key that stands where its path should [config:secret:unseen]', async () => {
    const key = '-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n'
    const { problems } = await build(`keylime_agent_use_tls = true\nkeylime_agent_client_key = <<E\n${key}E\n`)
    expect(problems[0]).toMatch(/^2:28: keylime_agent_client_key: expected a path, found PEM text;/)
    expect(problems.join()).not.toContain('c2Vj')
  })

  it('logs which certificate it shows, and no secret', async () => {
    const { problems, warnings, lines } = await build(hcl(secure))
    expect([problems, warnings]).toEqual([[], []])
    expect(lines.join('\n')).toMatch(
      /^info TLS files loaded \{"ca_file":.*"subject":"CN=spire-agent","issuer":"CN=agent clients"/,
    )
    expect(lines.join('\n')).not.toContain('PRIVATE KEY')
  })

  it('warns of files that do nothing without TLS, and does not read them', async () => {
    const { problems, warnings } = await build(
      'keylime_agent_ca_cert = "/nowhere/ca.pem"\nkeylime_agent_client_key = "/nowhere/key"',
    )
    expect(problems).toEqual([])
    expect(warnings).toEqual([
      IN_THE_CLEAR,
      'keylime_agent_ca_cert, keylime_agent_client_key: without effect while keylime_agent_use_tls is false',
    ])
  })

  it('tells problems of the text and of the files together', async () => {
    const { problems, config } = await build(
      'keylime_agent_use_tls = true\nport = 1\nkeylime_agent_ca_cert = "/nowhere/ca.pem"',
    )
    expect(config).toBeUndefined()
    expect(problems).toEqual([
      expect.stringMatching(/^2:1: port: unknown key/),
      'keylime_agent_ca_cert /nowhere/ca.pem: does not exist: there is no /nowhere',
    ])
  })

  it.each([
    ['keylime_agent_host = "https://localhost"', /1:22: keylime_agent_host: .*without scheme, port or brackets/],
    ['keylime_agent_port = 0', /1:22: keylime_agent_port: /],
    ['keylime_agent_use_tls = "yes"', /1:25: keylime_agent_use_tls: /],
    ['keylime_agent_uuid = "../agents"', /1:22: keylime_agent_uuid: .*expected 1 to 80 of A-Z/],
    ['request_timeout = "0s"', /1:19: request_timeout: /],
    ['request_timeout = 15', /1:19: request_timeout: /],
    ['wait_for_agent = "2h"', /1:18: wait_for_agent: /],
    ['keylime_agent_ca_file = "x"', /1:1: keylime_agent_ca_file: unknown key; did you mean "keylime_agent_ca_cert"\?/],
  ])('refuses %s', async (text, problem) => {
    const { problems } = await build(text)
    expect(problems).toEqual([expect.stringMatching(problem)])
  })

  it('warns of keys that belong to the other source of evidence', async () => {
    const { problems, warnings } = await build('tpm_path = "/dev/tpmrm0"\nkeylime_agent_data = "/nowhere"')
    expect(problems).toEqual([])
    expect(warnings).toContain('tpm_path, keylime_agent_data: without effect while evidence is "keylime-agent"')
  })

  it('only looks, in mode validate: no configuration, no log', async () => {
    const { problems, config, lines } = await build(hcl(secure), 'validate')
    expect([problems, config, lines]).toEqual([[], undefined, []])
  })
})
