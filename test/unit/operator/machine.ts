// A whole healthy machine for doctor: configuration, certificates, units and processes under one folder, services beside it.
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type CheckRun, runChecks } from '../../../operator/checks/run-checks.ts'
import { gatherView, type View } from '../../../operator/checks/view.ts'
import type { Finding } from '../../../operator/findings/finding.ts'
import { openSources } from '../../../operator/sources/open.ts'
import type { FakeNodeAgent } from '../../fakes/fake-keylime.ts'
import { newTestPki, type TestCa, type TestPki } from '../../fakes/pki.ts'
import { type FakeSite, startFakeSite } from './towerkeep.ts'

/** One machine. */
export interface FakeMachine extends AsyncDisposable {
  readonly site: FakeSite
  readonly pki: TestPki
  readonly ca: TestCa
  readonly root: string
  /** Puts a file under the root. */
  write(path: string, text: string): string
  read(path: string): string
  /** @returns The text; undefined where there is no file. */
  readIfThere(path: string): string | undefined
  remove(path: string): void
  /** Replaces text of a file; fails when there is none. */
  edit(path: string, from: string | RegExp, to: string): void
  /** Puts a process into its /proc. */
  run(pid: number, words: readonly string[]): void
  /** @param now Milliseconds since the epoch, as this machine's clock has it. */
  view(now?: number): Promise<View>
  /** The Keylime agents of the two nodes. */
  readonly agents: readonly FakeNodeAgent[]
  /** Runs doctor on it. */
  checks(options?: DoctorWish): Promise<readonly CheckRun[]>
  /** Runs doctor on it, and leaves out what is only for information. */
  doctor(options?: DoctorWish): Promise<readonly Finding[]>
}

/** How doctor runs. */
export interface DoctorWish {
  readonly prove?: boolean
  /** Milliseconds by which the machine's clock is wrong. */
  readonly clockMs?: number
  /** Limit of each check. */
  readonly deadlineMs?: number
}

/**
 * Sets one up: doctor finds nothing on it.
 */
export async function healthyMachine(): Promise<FakeMachine> {
  const site = await startFakeSite({ nodes: 2, ekCertificates: true })
  const pki = newTestPki()
  const root = join(site.folder, 'root')
  const authority = await pki.root('Root')
  const ca = await authority.intermediate('Book')
  const at = (path: string): string => join(root, path)
  const write = (path: string, text: string): string => {
    mkdirSync(dirname(at(path)), { recursive: true })
    writeFileSync(at(path), text)
    return at(path)
  }
  const chain = write(
    '/etc/keylime/certs/chain.crt',
    ca.pem + authority.pem + readFileSync(site.keylime.caFile, 'utf8'),
  )
  for (const [name, use] of [
    ['verifier', ['serverAuth', 'clientAuth']],
    ['registrar', ['serverAuth']],
    ['plugin', ['clientAuth']],
    ['agent', ['serverAuth']],
  ] as const) {
    const pair = await ca.issue(`${name}.example.org`, { eku: use })
    write(`/etc/keylime/certs/${name}.crt`, pair.chainPem)
    write(`/etc/keylime/certs/${name}.key`, pair.keyPem())
  }
  const own = await pki.selfSigned('plugin.auth', { eku: ['clientAuth'] })
  write('/etc/spire/plugin.crt', own.pem)
  write('/etc/spire/plugin.key', own.keyPem())
  write('/etc/spire/bundle.pem', authority.pem)
  site.spire.authorities = [{ asn1: authority.x509.raw, tainted: false }]
  const certs = at('/etc/keylime/certs')
  // Nobody listens on port 1: what is presented is the tower's part.
  const agent = await site.keylime.startAgent(site.keylime.node(0))
  const other = await site.keylime.startAgent(site.keylime.node(1))
  site.keylime.verifier.set(site.keylime.node(0).agentId, { port: agent.port })
  site.keylime.verifier.set(site.keylime.node(1).agentId, { port: other.port })
  const [verifier, registrar] = [site.keylime.verifier, site.keylime.registrar]
  write(
    '/etc/spire/server.conf',
    `server {
  trust_domain = "example.org"
  socket_path = "${site.spire.socketPath}"
}
plugins {
  NodeAttestor "keylime" {
    plugin_cmd = "${at('/usr/bin/keylime-attestor-server.ts')}"
    plugin_checksum = "d0dd4f94b19d6d3b3b6b6d1b6a97a0f5a6d1a9a1e5b7f4f4b1bcb1e9c3b1a1a1"
    plugin_data {
      keylime_verifiers = ["${verifier.host}:${verifier.port}"]
      keylime_registrars = ["${registrar.host}:${registrar.port}"]
      keylime_tls_ca_cert_file = "${site.keylime.caFile}"
      keylime_tls_cert_file = "${site.keylime.certFile}"
      keylime_tls_key_file = "${site.keylime.keyFile}"
      ek_ca_path = "${site.keylime.ekCaFile}"
    }
  }
}
telemetry { Prometheus { port = 9988 } }
`,
  )
  write('/usr/bin/keylime-attestor-server.ts', '// plugin\n')
  write(
    '/etc/spire/agent.conf',
    `agent {
  trust_domain = "example.org"
  trust_bundle_path = "${at('/etc/spire/bundle.pem')}"
  data_dir = "${at('/var/lib/spire/agent')}"
  socket_path = "/run/spire/agent.sock"
  rebootstrap_mode = "auto"
  experimental { sync_interval = "1s" }
}
plugins {
  NodeAttestor "keylime" {
    plugin_cmd = "${at('/usr/bin/keylime-attestor-server.ts')}"
    plugin_checksum = "d0dd4f94b19d6d3b3b6b6d1b6a97a0f5a6d1a9a1e5b7f4f4b1bcb1e9c3b1a1a1"
    plugin_data {
      keylime_agent_port = "1"
      keylime_agent_ca_cert = "${chain}"
      keylime_agent_client_cert = "${at('/etc/spire/plugin.crt')}"
      keylime_agent_client_key = "${at('/etc/spire/plugin.key')}"
    }
  }
}
`,
  )
  write(
    '/etc/keylime/verifier.conf',
    `[verifier]
ip = 127.0.0.1
port = 1
tls_dir = ${certs}
server_cert = verifier.crt
server_key = verifier.key
client_cert = verifier.crt
client_key = verifier.key
trusted_client_ca = ["chain.crt"]
trusted_server_ca = ["${site.keylime.caFile}", "${agent.caFile}", "${other.caFile}"]
quote_interval = 2
retry_interval = 2
max_retries = 5
exponential_backoff = True

[revocations]
enabled_revocation_notifications = ['webhook']
webhook_url = https://127.0.0.1:9443/keylime
`,
  )
  write(
    '/etc/keylime/registrar.conf',
    `[registrar]
ip = 127.0.0.1
tls_port = 1
tls_dir = ${certs}
server_cert = registrar.crt
server_key = registrar.key
trusted_client_ca = ["chain.crt"]
`,
  )
  write(
    '/etc/keylime/agent.conf',
    `[agent]
uuid = "hash_ek"
contact_ip = "10.0.0.7"
port = 1
registrar_ip = "10.0.0.1"
registrar_tls_enabled = true
server_cert = "${certs}/agent.crt"
server_key = "${certs}/agent.key"
trusted_client_ca = "[${chain}, ${at('/etc/spire/plugin.crt')}]"
`,
  )
  write('/usr/lib/tmpfiles.d/spire.conf', 'd /run/spire 0755 spire spire -\n')
  write(
    '/etc/systemd/system/spire-agent.service',
    '[Unit]\nAfter=keylime_agent.service\n\n[Service]\nExecStart=/usr/bin/spire-agent run\n',
  )
  write(
    '/etc/systemd/system/keylime_agent.service',
    '[Unit]\nAfter=network-online.target\n\n[Service]\nExecStart=/usr/bin/keylime_agent\n',
  )
  mkdirSync(at('/proc/self/ns'), { recursive: true })
  symlinkSync('net:[1]', at('/proc/self/ns/net'))
  const run = (pid: number, words: readonly string[]): void => {
    const folder = at(`/proc/${pid}`)
    mkdirSync(join(folder, 'ns'), { recursive: true })
    writeFileSync(join(folder, 'cmdline'), words.map((word) => `${word}\0`).join(''))
    writeFileSync(join(folder, 'environ'), '')
    symlinkSync('net:[1]', join(folder, 'ns/net'))
  }
  run(7, ['/usr/bin/towerkeep', 'watch', '--mode', 'ban'])
  const view = async (now?: number): Promise<View> => {
    const sources = await openSources({ configFile: site.config, root, procFolder: at('/proc') }, 3_000)
    const place = {
      root,
      procFolder: at('/proc'),
      journalFolder: at('/journal'),
      certsFolder: at('/certs.d'),
      devIdsFolder: at('/devid.d'),
      timeoutMs: 3_000,
    }
    return gatherView(sources, place, new AbortController().signal, now)
  }
  const checks: FakeMachine['checks'] = async ({ prove = false, clockMs = 0, deadlineMs = 10_000 } = {}) => {
    const seen = await view(Date.now() + clockMs)
    try {
      return await runChecks(seen, { areas: [], prove, deadlineMs })
    } finally {
      await seen[Symbol.asyncDispose]()
    }
  }
  const edit: FakeMachine['edit'] = (path, from, to) => {
    const before = readFileSync(at(path), 'utf8')
    const after = before.replace(from, to)
    if (after === before) throw new Error(`${path} does not have ${String(from)}`)
    write(path, after)
  }
  const { createHash } = await import('node:crypto')
  const sum = createHash('sha256').update('// plugin\n').digest('hex')
  for (const path of ['/etc/spire/server.conf', '/etc/spire/agent.conf']) edit(path, /"d0dd4f[0-9a-f]+"/, `"${sum}"`)
  return {
    site,
    pki,
    ca,
    root,
    write,
    read: (path) => readFileSync(at(path), 'utf8'),
    readIfThere: (path) => (existsSync(at(path)) ? readFileSync(at(path), 'utf8') : undefined),
    remove: (path) => rmSync(at(path), { recursive: true, force: true }),
    edit,
    run,
    view,
    agents: [agent, other],
    checks,
    doctor: async (wish) =>
      (await checks(wish)).flatMap(({ findings }) => findings).filter(({ severity }) => severity !== 'info'),
    [Symbol.asyncDispose]: async () => {
      pki.remove()
      await site[Symbol.asyncDispose]()
    },
  }
}

/** IDs of the root causes, each once. */
export function causesIn(findings: readonly Finding[]): readonly string[] {
  return [...new Set(findings.filter(({ because }) => because.length === 0).map(({ id }) => id))].toSorted()
}
