import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { assert, property, string } from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { servicesOf } from '../../../operator/site/services.ts'
import { discoverSite, type Site } from '../../../operator/site/site.ts'
import { parseSpireConf } from '../../../operator/site/spire-conf.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'site-'))
  mkdirSync(join(root, 'proc/self/ns'), { recursive: true })
  symlinkSync('net:[1]', join(root, 'proc/self/ns/net'))
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

function write(path: string, text: string): string {
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

/** Puts a process into our /proc. */
function run(
  pid: number,
  words: readonly string[],
  more: { env?: readonly string[]; net?: string; cwd?: string } = {},
): void {
  const folder = join(root, 'proc', String(pid))
  mkdirSync(join(folder, 'ns'), { recursive: true })
  writeFileSync(join(folder, 'cmdline'), words.map((word) => `${word}\0`).join(''))
  writeFileSync(join(folder, 'environ'), (more.env ?? []).map((pair) => `${pair}\0`).join(''))
  symlinkSync(more.net ?? 'net:[1]', join(folder, 'ns/net'))
  if (more.cwd !== undefined) symlinkSync(more.cwd, join(folder, 'cwd'))
}

function discover(): Site {
  return discoverSite({ root, procFolder: join(root, 'proc') })
}

const SERVER_CONF = `server {
  trust_domain = "funlab.casa"
  socket_path = "/run/spire/api.sock"
}
plugins {
  NodeAttestor "keylime" {
    plugin_cmd = "/usr/bin/keylime-attestor-server"
    plugin_data {
      keylime_verifiers = ["v1.funlab.casa:8881", "v2.funlab.casa:8882"]
      keylime_registrar_host = "registrar.funlab.casa"
      require_policy = ["pcr:7"]
      max_attestation_age = "20s"
      keylime_tls_key_file = "/etc/spire/plugin.key"
    }
  }
}
`

describe('a site', () => {
  it.skipIf(process.getuid?.() !== 0)(
    'a process of a person counts only where the system runs none of that name',
    () => {
      const forged = write('tmp/evil.conf', SERVER_CONF.replace('funlab.casa', 'evil.example'))
      const real = write('etc/spire/server.conf', SERVER_CONF)
      run(7, ['spire-server', 'run', '-config', forged])
      chownSync(join(root, 'proc/7'), 1_000, 1_000)
      expect(discover().spireServer?.file).toBe(forged)
      run(900, ['/opt/spire/bin/spire-server', 'run', '-config', real])
      expect(discover().spireServer?.file).toBe(real)
    },
  )

  it('is found from the running SPIRE server, with file and line of each value', () => {
    const file = write('opt/server.conf', SERVER_CONF)
    run(10, ['/opt/spire/bin/spire-server', 'run', '-config', file])
    const services = servicesOf(discover())
    expect(services.spireSockets).toEqual({ value: ['/run/spire/api.sock'], from: `${file}:3` })
    expect(services.trustDomain).toEqual({ value: 'funlab.casa', from: `${file}:2` })
    expect(services.verifiers.value.map(({ address }) => address)).toEqual([
      { host: 'v1.funlab.casa', port: 8881 },
      { host: 'v2.funlab.casa', port: 8882 },
    ])
    expect(services.registrars.value[0]?.address).toEqual({ host: 'registrar.funlab.casa', port: 8891 })
    expect(services.plugin.value.gate).toMatchObject({ maxAttestationAgeMs: 20_000, requirePolicy: ['pcr:7'] })
    expect(services.plugin.from).toBe(`${file}:8`)
  })

  it('takes a relative path from where the process stands, and expands variables where SPIRE does', () => {
    const file = write('work/conf/server.conf', 'server { trust_domain = "$TD" socket_path = "${RUN}/api.sock" }\n')
    const env = ['TD=example.org', 'RUN=/run/x', 'SECRET=1']
    run(10, ['spire-server', 'run', '--config=conf/server.conf', '-expandEnv'], { env, cwd: join(root, 'work') })
    const services = servicesOf(discover())
    expect(services.trustDomain).toEqual({ value: 'example.org', from: `${file}:1` })
    expect(services.spireSockets.value).toEqual(['/run/x/api.sock'])
  })

  it('leaves out what runs in another network namespace: that is another host', () => {
    const theirs = write('other/server.conf', SERVER_CONF.replace('funlab.casa', 'other.org'))
    run(10, ['spire-server', 'run', '-config', theirs], { net: 'net:[2]' })
    expect(discover().processes).toEqual([])
    expect(servicesOf(discover()).trustDomain).toBeUndefined()
  })

  it('falls back to the usual places, and to defaults', () => {
    write('etc/spire/server.conf', 'server { trust_domain = "a.org" }')
    const services = servicesOf(discover())
    expect(services.trustDomain?.value).toBe('a.org')
    expect(services.spireSockets).toEqual({
      value: ['/tmp/spire-server/private/api.sock'],
      from: 'default of spire-server',
    })
    expect(services.keylimeTls).toBeUndefined()
  })

  it("speaks to Keylime with the tenant's certificate, never the plugin's, unless it has its own", () => {
    write('etc/spire/server.conf', SERVER_CONF)
    const file = write(
      'etc/keylime/tenant.conf',
      '[tenant]\ntls_dir = /etc/keylime/certs\nclient_cert = tenant.crt\nclient_key = /k/tenant.key\ntrusted_server_ca = ["ca.crt"]\n',
    )
    expect(servicesOf(discover()).keylimeTls).toEqual({
      value: {
        caFile: '/etc/keylime/certs/ca.crt',
        certFile: '/etc/keylime/certs/tenant.crt',
        keyFile: '/k/tenant.key',
      },
      from: `${file}:3`,
    })
    const own = write(
      'etc/towerkeep.hcl',
      'keylime_ca_file = "/c"\nkeylime_cert_file = "/t.crt"\nkeylime_key_file = "/t.key"\nhosts = ["auth=id-1"]\n',
    )
    const services = servicesOf(discover())
    expect(services.keylimeTls).toEqual({
      value: { caFile: '/c', certFile: '/t.crt', keyFile: '/t.key' },
      from: `${own}:2`,
    })
    expect(services.hostNames).toEqual(new Map([['id-1', 'auth']]))
  })

  it.each([
    ['keylime_cert_file', '/t.crt'],
    ['keylime_key_file', '/t.key'],
  ])("refuses %s alone, which the tenant's pair would replace without a word", (key, path) => {
    const file = write('etc/towerkeep.hcl', `keylime_ca_file = "/c"\n${key} = "${path}"\n`)
    expect(() => discover()).toThrow(
      expect.objectContaining({
        code: 'TK-CONF-INVALID',
        message: `${file}:2:1: ${key}: set both keylime_cert_file and keylime_key_file, or neither`,
      }),
    )
  })

  it("reads Keylime's files as Keylime does: environment of the process first, snippets over the base", () => {
    write('etc/keylime/verifier.conf', '[verifier]\nquote_interval = 60\nport = 8881\n')
    write('etc/keylime/verifier.conf.d/10-local.conf', '[verifier]\nquote_interval = 2\n')
    run(20, ['/usr/bin/python3', '-s', '/usr/bin/keylime_verifier'], { env: ['KEYLIME_VERIFIER_PORT=9000', 'HOME=/'] })
    const site = discover()
    expect(site.processes.map(({ program }) => program)).toEqual(['keylime_verifier'])
    expect(site.verifier?.text('quote_interval')).toEqual({
      value: '2',
      from: `${join(root, 'etc/keylime/verifier.conf.d/10-local.conf')}:2`,
    })
    expect(site.verifier?.text('port')).toEqual({ value: '9000', from: 'environment KEYLIME_VERIFIER_PORT' })
  })

  it('reads the Keylime agent as TOML', () => {
    const file = write('etc/keylime/agent.conf', '[agent]\nuuid = "hash_ek"\nport = 9002\n')
    expect(discover().keylimeAgent?.text('uuid')).toEqual({ value: 'hash_ek', from: file })
    expect(discover().keylimeAgent?.text('port')?.value).toBe('9002')
  })

  it('reports files that do not parse, with line and column, and goes on', () => {
    write('etc/spire/server.conf', 'server {\n  trust_domain = \n}\n')
    write('etc/keylime/verifier.conf', '[verifier]\na = 1\na = 2\n')
    write('etc/keylime/agent.conf', '[agent\n')
    const problems = discover().problems.map(({ file, at }) => [file.slice(root.length), at])
    expect(problems).toEqual([
      ['/etc/spire/server.conf', '3:1'],
      ['/etc/keylime/verifier.conf', '3'],
      ['/etc/keylime/agent.conf', '1:7'],
    ])
  })

  it('never throws over a configuration of SPIRE, whatever stands in it', () => {
    assert(
      property(string(), (text) => {
        const conf = parseSpireConf('x.conf', text)
        const said = 'isForbidden' in conf ? conf.at : conf.text('server', 'socket_path')?.value
        expect(said ?? '').toBeTypeOf('string')
      }),
    )
  })
})
