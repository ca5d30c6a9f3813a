import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, type FakeNodeAgent, startFakeKeylime } from '../fakes/fake-keylime.ts'
import type { IssuedCertificate, TestCa } from '../fakes/pki.ts'
import { AgentPlugin } from './agent-plugin.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]()
})

async function startPlugin(hcl?: string): Promise<AgentPlugin> {
  const plugin = await AgentPlugin.start(hcl)
  open.push(plugin)
  return plugin
}

/** A Keylime agent that trusts a CA of ours for its clients, so that a test can issue and renew certificates. */
async function startAgentOfCa(): Promise<{ keylime: FakeKeylime; agent: FakeNodeAgent; clients: TestCa }> {
  const keylime = await startFakeKeylime()
  open.push(keylime)
  const agent = await keylime.startAgent()
  return { keylime, agent, clients: agent.clientCa }
}

const lineOf = ({ status, message }: { readonly status: string; readonly message: string }): string =>
  `${status} ${message}`

describe('Configure of keylime-attestor-agent', () => {
  it('tells every problem at once, with place, key and suggestion', async () => {
    const plugin = await startPlugin()
    const hcl = [
      'keylime_agent_hosts = "localhost"',
      'keylime_agent_port = "70000"',
      'agent_uuid = "x"',
      'keylime_agent_uuid = "a/b"',
      'wait_for_agent = "soon"',
    ].join('\n')
    const outcome = lineOf(await plugin.configure(hcl))
    expect(outcome).toMatch(/^INVALID_ARGUMENT /)
    expect(outcome).toMatch(/1:1: keylime_agent_hosts: unknown key; did you mean "keylime_agent_host"\?/)
    expect(outcome).toMatch(/2:22: keylime_agent_port: .*65535/)
    expect(outcome).toMatch(/3:1: agent_uuid: unknown key; did you mean "keylime_agent_uuid"\?/)
    expect(outcome).toMatch(/4:22: keylime_agent_uuid: .*expected 1 to 80 of A-Z/)
    expect(outcome).toMatch(/5:18: wait_for_agent: /)
    expect((await plugin.validate(hcl)).notes).toHaveLength(5)
    expect(lineOf(await plugin.aid())).toBe('FAILED_PRECONDITION not configured')
  })

  it('takes every key of both Go plugins, and warns of the one that does nothing [T30]', async () => {
    const { agent } = await startAgentOfCa()
    const plugin = await startPlugin(agent.agentHcl({ tpm_path: '/dev/tpmrm0', wait_for_agent: '0s' }))
    expect(plugin.logs('warn').join()).toMatch(/tpm_path/)
    expect(lineOf(await plugin.aid())).toBe('OK ')
  })

  it('needs certificate and key, or neither [T29]', async () => {
    const { agent } = await startAgentOfCa()
    const plugin = await startPlugin()
    expect(lineOf(await plugin.configure(agent.agentHcl({ keylime_agent_client_key: '' })))).toMatch(
      /^INVALID_ARGUMENT .*keylime_agent_client_cert.*keylime_agent_client_key/,
    )
    expect(lineOf(await plugin.configure(agent.agentHcl({ keylime_agent_client_cert: '' })))).toMatch(
      /^INVALID_ARGUMENT .*keylime_agent_client_key.*keylime_agent_client_cert/,
    )
  })

  it('names the file, and what is the matter with it [T29]', async () => {
    const { keylime, agent, clients } = await startAgentOfCa()
    const { pki } = keylime
    const plugin = await startPlugin()
    const other = pki.writePair('other', await clients.issue('other'))
    const old = pki.writePair('old', await clients.issue('old', { validity: 'expired' }))
    mkdirSync(join(pki.folder, 'folder'))
    const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
      [
        { keylime_agent_ca_cert: '/nowhere/ca.pem' },
        /keylime_agent_ca_cert \/nowhere\/ca\.pem: does not exist: there is no \/nowhere/,
      ],
      [{ keylime_agent_ca_cert: join(pki.folder, 'folder') }, /folder: is a folder, expected a file/],
      [{ keylime_agent_ca_cert: pki.write('noise.pem', 'noise') }, /noise\.pem: /],
      [{ keylime_agent_client_key: other.keyFile }, /other\.key/],
      [{ keylime_agent_client_cert: old.certFile, keylime_agent_client_key: old.keyFile }, /old\.crt: .*expired/],
    ]
    for (const [changes, message] of cases) {
      const outcome = lineOf(await plugin.configure(agent.agentHcl(changes)))
      expect(outcome).toMatch(/^INVALID_ARGUMENT /)
      expect(outcome).toMatch(message)
      expect((await plugin.validate(agent.agentHcl(changes))).notes.join()).toMatch(message)
    }
  })

  it('keeps the configuration in force when a new one is refused', async () => {
    const { agent } = await startAgentOfCa()
    const plugin = await startPlugin(agent.agentHcl({ wait_for_agent: '0s' }))
    expect(lineOf(await plugin.configure(agent.agentHcl({ keylime_agent_ca_cert: '/nowhere' })))).toMatch(
      /^INVALID_ARGUMENT /,
    )
    expect(lineOf(await plugin.aid())).toBe('OK ')
  })

  it('may come at any time: attestations under way keep the one they began with', async () => {
    const { agent } = await startAgentOfCa()
    const hcl = agent.agentHcl({ wait_for_agent: '0s' })
    const plugin = await startPlugin(hcl)
    const attestation = plugin.aid({
      beforeChallenge: async () => {
        const { status } = await plugin.configure(
          agent.agentHcl({ keylime_agent_uuid: 'node-7', wait_for_agent: '0s' }),
        )
        expect(status).toBe('OK')
      },
    })
    expect(lineOf(await attestation)).toBe('OK ')
    expect(lineOf(await plugin.aid())).toMatch(/^FAILED_PRECONDITION .*expected node-7/)
  })

  it('in Validate touches neither network nor the configuration in force', async () => {
    const { agent } = await startAgentOfCa()
    const plugin = await startPlugin()
    await expect(plugin.validate(agent.agentHcl())).resolves.toEqual({ valid: true, notes: [] })
    expect(agent.stats.connections).toBe(0)
    expect(lineOf(await plugin.aid())).toBe('FAILED_PRECONDITION not configured')
  })

  const isRoot = process.getuid?.() === 0
  it.runIf(isRoot)(
    'names owner, mode and our own user for a file it may not read (only as root: it becomes nobody) [T29]',
    async () => {
      const { keylime, agent } = await startAgentOfCa()
      chmodSync(keylime.pki.folder, 0o755)
      const plugin = await AgentPlugin.start(undefined, ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'])
      open.push(plugin)
      const outcome = lineOf(await plugin.configure(agent.agentHcl()))
      expect(outcome).toMatch(
        /^INVALID_ARGUMENT .*keylime_agent_client_key .*-client\.key: cannot be read: it belongs to .*0600.*65534/,
      )
    },
  )
})

describe('certificates that are renewed while attestations go on', () => {
  it('fails no attestation in 20 renewals under load, written one file after the other [T24] [P13]', async () => {
    const { keylime, agent, clients } = await startAgentOfCa()
    const plugin = await startPlugin(agent.agentHcl({ wait_for_agent: '0s' }))
    const outcomes: string[] = []
    const done = new AbortController()
    const load = Array.from({ length: 6 }, async () => {
      while (!done.signal.aborted) outcomes.push(lineOf(await plugin.aid()))
    })
    for (let round = 1; round <= 20; round++) {
      const renewed = await clients.issue(`renewal-${round}`)
      await renew(keylime, agent, renewed)
      await until(() => (agent.stats.clients[`renewal-${round}`] ?? 0) > 0)
    }
    done.abort()
    await Promise.all(load)
    expect(new Set(outcomes)).toEqual(new Set(['OK ']))
    expect(outcomes.length).toBeGreaterThan(40)
    expect(plugin.logs('error')).toEqual([])
    expect(agent.stats.refusedClients).toBe(0)
  })

  it('attests with the new certificate once the old one has expired [T81] [P13]', async () => {
    const { keylime, agent, clients } = await startAgentOfCa()
    const notAfter = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3000)
    const brief = await clients.issue('brief', { validity: { notBefore: new Date(Date.now() - 60_000), notAfter } })
    await renew(keylime, agent, brief)
    const plugin = await startPlugin(agent.agentHcl({ wait_for_agent: '0s' }))
    expect(lineOf(await plugin.aid())).toBe('OK ')
    expect(agent.stats.clients['brief']).toBeGreaterThan(0)
    await until(() => Date.now() > notAfter.getTime() + 1000)
    agent.dropConnections()
    await renew(keylime, agent, await clients.issue('renewed'))
    expect(lineOf(await plugin.aid())).toBe('OK ')
    expect(agent.stats.clients['renewed']).toBeGreaterThan(0)
  })

  it('keeps the old certificate while the new files are broken, and says so', async () => {
    const { keylime, agent } = await startAgentOfCa()
    const plugin = await startPlugin(agent.agentHcl({ wait_for_agent: '0s' }))
    keylime.pki.write(relative(keylime, agent.clientCertFile), 'half writ')
    expect(lineOf(await plugin.aid())).toBe('OK ')
    await until(() => plugin.logs('error').some((line) => line.includes('TLS files cannot be used')))
    expect(lineOf(await plugin.aid())).toBe('OK ')
  })

  it('follows the Keylime agent when its own certificate and the CA file change', async () => {
    const { keylime, agent } = await startAgentOfCa()
    const plugin = await startPlugin(agent.agentHcl({ wait_for_agent: '0s' }))
    expect(lineOf(await plugin.aid())).toBe('OK ')
    const renewed = await keylime.pki.selfSigned(agent.agentId, { ip: ['127.0.0.1'] })
    agent.setCertificate({ cert: renewed.pem, key: renewed.keyPem() })
    agent.dropConnections()
    expect(lineOf(await plugin.aid())).toMatch(/^INTERNAL /)
    keylime.pki.write(relative(keylime, agent.caFile), renewed.pem)
    expect(lineOf(await plugin.aid())).toBe('OK ')
  })
})

async function renew({ pki }: FakeKeylime, agent: FakeNodeAgent, renewed: IssuedCertificate): Promise<void> {
  pki.write(relative({ pki }, agent.clientCertFile), renewed.chainPem)
  // Two files are never changed in one step: for a moment they do not fit.
  await delay(5)
  pki.write(relative({ pki }, agent.clientKeyFile), renewed.keyPem())
}

function relative({ pki }: Pick<FakeKeylime, 'pki'>, path: string): string {
  return path.slice(pki.folder.length + 1)
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('condition not met within 30 s')
    await delay(20)
  }
}
