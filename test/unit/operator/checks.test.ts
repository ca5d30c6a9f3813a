import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CHECKS } from '../../../operator/checks/run-checks.ts'
import { FINDINGS } from '../../../operator/findings/catalogue.ts'
import { DEFAULT_AGENT_UUID } from '../../../plugins/keylime/basis/ids.ts'
import type { FakeNode } from '../../fakes/fake-node.ts'
import { fakeEntry } from '../../fakes/fake-spire-server.ts'
import { causesIn, type FakeMachine, healthyMachine } from './machine.ts'

let machine: FakeMachine
beforeAll(async () => {
  machine = await healthyMachine()
})
afterAll(async () => machine[Symbol.asyncDispose]())

/** What breaks, which finding names it, and how it is broken; a file that is edited is put back after. */
type Breaker = readonly [
  what: string,
  id: string,
  files: readonly string[],
  breakIt: (machine: FakeMachine) => void | Promise<void>,
]

const AGENT = '/etc/keylime/agent.conf'
const VERIFIER = '/etc/keylime/verifier.conf'
const SERVER = '/etc/spire/server.conf'
const SPIRE_AGENT = '/etc/spire/agent.conf'
const CERTS = '/etc/keylime/certs'

const BREAKERS: readonly Breaker[] = [
  ['a misspelt key of the plugin [P07]', 'TK-CONF-PLUGIN', [SERVER], (m) => m.edit(SERVER, 'ek_ca_path', 'ek_ca_pth')],
  [
    'a bare word where Keylime wants a list [P29]',
    'TK-CONF-LIST',
    [VERIFIER],
    (m) => m.edit(VERIFIER, '["chain.crt"]', 'chain.crt'),
  ],
  [
    'a key that stands twice [P29]',
    'TK-CONF-INVALID',
    [VERIFIER],
    (m) => m.edit(VERIFIER, 'quote_interval = 2', 'quote_interval = 2\nquote_interval = 3'),
  ],
  [
    'an invented key of the agent [P28]',
    'TK-CONF-UNKNOWN-KEY',
    [AGENT],
    (m) => m.edit(AGENT, 'contact_ip', 'agent_contact_ip = "10.0.0.7"\ncontact_ip'),
  ],
  [
    'a file that nobody reads [P06]',
    'TK-CONF-WRONG-FILE',
    ['/etc/keylime/keylime-agent.conf'],
    (m) => void m.write('/etc/keylime/keylime-agent.conf', '[agent]\nuuid = "hash_ek"\n'),
  ],
  ['a loopback contact address [P29]', 'TK-CONF-CONTACT', [AGENT], (m) => m.edit(AGENT, '10.0.0.7', '127.0.0.1')],
  ['an agent without uuid [P06]', 'TK-ID-DEFAULT', [AGENT], (m) => m.edit(AGENT, 'uuid = "hash_ek"\n', '')],
  ['an agent with uuid "auto" [P06]', 'TK-ID-RANDOM', [AGENT], (m) => m.edit(AGENT, 'hash_ek', 'auto')],
  [
    'a certificate file that is gone [P10]',
    'TK-CERT-FILE',
    [`${CERTS}/plugin-gone.crt`, AGENT],
    (m) => m.edit(AGENT, '/agent.crt', '/plugin-gone.crt'),
  ],
  ['a key of another certificate [P17]', 'TK-CERT-KEY', [AGENT], (m) => m.edit(AGENT, '/agent.key', '/plugin.key')],
  [
    'a certificate that has ended [P10]',
    'TK-CERT-FILE',
    [`${CERTS}/agent.crt`, `${CERTS}/agent.key`],
    async (m) => {
      const pair = await m.ca.issue('agent', { eku: ['serverAuth'], validity: 'expired' })
      m.write(`${CERTS}/agent.crt`, pair.chainPem)
      m.write(`${CERTS}/agent.key`, pair.keyPem())
    },
  ],
  [
    'an agent certificate good for clients [P08]',
    'TK-CERT-ADMIN',
    [`${CERTS}/agent.crt`, `${CERTS}/agent.key`],
    async (m) => {
      const pair = await m.ca.issue('agent', { eku: ['serverAuth', 'clientAuth'] })
      m.write(`${CERTS}/agent.crt`, pair.chainPem)
      m.write(`${CERTS}/agent.key`, pair.keyPem())
    },
  ],
  [
    'a plugin certificate that its agent does not know [P11]',
    'TK-CERT-CHAIN',
    ['/etc/spire/plugin.crt', '/etc/spire/plugin.key'],
    async (m) => {
      const other = await (await m.pki.root('Elsewhere')).issue('plugin', { eku: ['clientAuth'] })
      m.write('/etc/spire/other.crt', other.chainPem)
      m.edit(AGENT, '/etc/spire/plugin.crt', '/etc/spire/other-root.crt')
      m.write('/etc/spire/other-root.crt', (await m.pki.root('Third')).pem)
      m.write('/etc/spire/plugin.crt', other.chainPem)
      m.write('/etc/spire/plugin.key', other.keyPem())
    },
  ],
  [
    'units that require each other in a circle [P14]',
    'TK-BOOT-CYCLE',
    ['/etc/systemd/system/openbao.service', '/etc/systemd/system/spire-agent.service'],
    (m) => {
      m.write(
        '/etc/systemd/system/openbao.service',
        '[Unit]\nRequires=spire-agent.service\n[Service]\nExecStart=/usr/bin/bao server\n',
      )
      m.edit('/etc/systemd/system/spire-agent.service', 'After=', 'Requires=openbao.service\nAfter=')
    },
  ],
  [
    'a renewal that needs the SVID [P14]',
    'TK-BOOT-CREDENTIAL',
    ['/certs.d/agent.hcl'],
    (m) =>
      void m.write(
        '/certs.d/agent.hcl',
        'cert_file = "/a.crt"\nkey_file = "/a.key"\ncommon_name = "a"\nrole = "r"\naddress = "https://bao:8200"\nca_file = "/ca"\nsvid_cert_file = "/s.crt"\nsvid_key_file = "/s.key"\n',
      ),
  ],
  [
    'a socket folder that vanishes [P30]',
    'TK-BOOT-RUN',
    ['/usr/lib/tmpfiles.d/spire.conf'],
    (m) => m.remove('/usr/lib/tmpfiles.d/spire.conf'),
  ],
  [
    'a unit that forbids the secure mount [P30]',
    'TK-BOOT-PROTECT',
    ['/etc/systemd/system/keylime_agent.service'],
    (m) => m.edit('/etc/systemd/system/keylime_agent.service', '[Service]', '[Service]\nProtectSystem=strict'),
  ],
  [
    'a unit that names one that is not there [P24]',
    'TK-BOOT-UNIT',
    ['/etc/systemd/system/spire-agent.service'],
    (m) => m.edit('/etc/systemd/system/spire-agent.service', 'keylime_agent.service', 'keylime-agent.service'),
  ],
  [
    'a bundle of another authority [P15]',
    'TK-BUNDLE-STALE',
    ['/etc/spire/bundle.pem'],
    async (m) => void m.write('/etc/spire/bundle.pem', (await m.pki.root('Old')).pem),
  ],
  [
    'an agent that never asks for a bundle [P15]',
    'TK-BUNDLE-REBOOTSTRAP',
    [SPIRE_AGENT],
    (m) => m.edit(SPIRE_AGENT, '"auto"', '"never"'),
  ],
  [
    'another plugin than the pinned one [P16]',
    'TK-PLUGIN-SUM',
    ['/usr/bin/keylime-attestor-server.ts'],
    (m) => void m.write('/usr/bin/keylime-attestor-server.ts', '// other\n'),
  ],
  [
    'a plugin that is not pinned [P16]',
    'TK-PLUGIN-UNPINNED',
    [SERVER],
    (m) => m.edit(SERVER, /plugin_checksum = .*\n/, ''),
  ],
  [
    'a script in the place of the plugin [P12] [P35]',
    'TK-PLUGIN-FOREIGN',
    [SERVER, '/usr/bin/wrapper'],
    (m) => {
      m.write('/usr/bin/wrapper', '#!/bin/sh\n')
      m.edit(SERVER, /plugin_cmd = ".*"/, `plugin_cmd = "${m.root}/usr/bin/wrapper"`)
      m.edit(
        SERVER,
        /plugin_checksum = ".*"/,
        `plugin_checksum = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf"`,
      )
    },
  ],
  [
    'an agent that trusts the first server [P12]',
    'TK-PLUGIN-INSECURE',
    [SPIRE_AGENT],
    (m) => m.edit(SPIRE_AGENT, 'rebootstrap_mode', 'insecure_bootstrap = true\n  rebootstrap_mode'),
  ],
  [
    'notifications that delay the failure [P25]',
    'TK-KL-NOTIFY-AGENT',
    [VERIFIER],
    (m) => m.edit(VERIFIER, "['webhook']", "['agent', 'webhook']"),
  ],
  ['an agent that syncs slowly [P25]', 'TK-SPIRE-SLOW', [SPIRE_AGENT], (m) => m.edit(SPIRE_AGENT, '"1s"', '"30s"')],
  ['SPIRE without telemetry [P34]', 'TK-SPIRE-TELEMETRY', [SERVER], (m) => m.edit(SERVER, /telemetry .*\n/, '')],
  [
    'endorsement certificates that nobody checks [P32]',
    'TK-ID-EK-UNCHECKED',
    [SERVER],
    (m) => m.edit(SERVER, /ek_ca_path = .*\n/, ''),
  ],
  [
    'nobody who cuts hosts off [P25]',
    'TK-SPIRE-CUTOFF',
    ['/proc/7/cmdline'],
    (m) => m.edit('/proc/7/cmdline', 'ban', 'observe'),
  ],
  [
    'a check that a script turned off [P12] [P27]',
    'TK-SEC-UNVERIFIED',
    ['/usr/local/bin/renew.sh'],
    (m) =>
      void m.write(
        '/usr/local/bin/renew.sh',
        '#!/bin/sh\nexport VAULT_SKIP_VERIFY=true\nvault write pki_int/issue/keylime\n',
      ),
  ],
  [
    'a vault that is asked under the wrong name [P10]',
    'TK-SEC-VARIABLES',
    ['/usr/local/bin/renew.sh'],
    (m) =>
      void m.write(
        '/usr/local/bin/renew.sh',
        '#!/bin/sh\nexport BAO_ADDR=https://bao:8200\nbao write pki_int/issue/keylime-services\n',
      ),
  ],
  [
    'a proxy that logs quotes [P33]',
    'TK-NET-PROXY-LOG',
    ['/etc/nginx/conf.d/keylime.conf'],
    (m) =>
      void m.write(
        '/etc/nginx/conf.d/keylime.conf',
        'server {\n  listen 443 ssl;\n  ssl_verify_client on;\n  location / { proxy_pass https://127.0.0.1:8881; }\n}\n',
      ),
  ],
  [
    'a proxy that lends its certificate [P08]',
    'TK-NET-LENDS',
    ['/etc/nginx/conf.d/keylime.conf'],
    (m) =>
      void m.write(
        '/etc/nginx/conf.d/keylime.conf',
        'server {\n  listen 127.0.0.1:9881;\n  access_log off;\n  location / { proxy_pass https://127.0.0.1:8881; proxy_ssl_certificate /etc/keylime/verifier.crt; }\n}\n',
      ),
  ],
  [
    'a second program that writes the same certificate [P21]',
    'TK-CERT-WRITERS',
    ['/certs.d/agent.hcl', '/usr/local/bin/old-renew.sh'],
    (m) => {
      m.write(
        '/certs.d/agent.hcl',
        'cert_file = "/etc/keylime/certs/agent.crt"\nkey_file = "/etc/keylime/certs/agent.key"\ncommon_name = "a"\nissuer = "self"\n',
      )
      m.write('/usr/local/bin/old-renew.sh', '#!/bin/sh\n# keylime\ncp /tmp/new.crt /etc/keylime/certs/agent.crt\n')
    },
  ],
  [
    'a baseline of another kernel [P26]',
    'TK-POLICY-KERNEL',
    ['/var/lib/towerkeep/baselines/auth.json'],
    (m) =>
      void m.write(
        '/var/lib/towerkeep/baselines/auth.json',
        JSON.stringify({
          schema: 'towerkeep/baseline/v1',
          host: 'auth',
          agent_id: 'a',
          at: '2026-11-28T00:00:00Z',
          pcrs: {},
          kernel: '5.10.0-old',
        }),
      ),
  ],
  [
    'retries that are shorter than a boot [P05]',
    'TK-KL-BUDGET',
    ['/journal/20261128-recover-auth.json'],
    (m) =>
      void m.write(
        '/journal/20261128-recover-auth.json',
        JSON.stringify({
          schema: 'towerkeep/journal/v1',
          verb: 'recover',
          subject: 'auth',
          at: '2026-11-28T00:00:00Z',
          uid: 0,
          outcome: 'done',
          steps: [{ id: 'reactivate', title: '', state: 'done', facts: { host: 'auth', away_seconds: 107 } }],
        }),
      ),
  ],
]

/** Puts back what a breaker touched. */
async function withBroken(
  files: readonly string[],
  breakIt: () => void | Promise<void>,
  look: () => Promise<void>,
): Promise<void> {
  const kept = [...files, AGENT].map((file) => {
    try {
      return [file, machine.read(file)] as const
    } catch {
      return [file, undefined] as const
    }
  })
  try {
    await breakIt()
    await look()
  } finally {
    for (const [file, text] of kept) {
      if (text === undefined) machine.remove(file)
      else machine.write(file, text)
    }
  }
}

describe('doctor on one machine', () => {
  it('finds nothing where nothing is wrong [P24]', async () => {
    expect((await machine.doctor()).map(({ id, subject, message }) => `${id} ${subject}: ${message}`)).toEqual([])
  })

  it.each(BREAKERS)(
    'names %s as the only cause: %s [operator:doctor:names-cause]',
    async (_what, id, files, breakIt) => {
      await withBroken(
        files,
        () => breakIt(machine),
        async () => {
          const findings = await machine.doctor()
          expect([causesIn(findings), findings.find((one) => one.id === id)?.message]).toEqual([
            [id],
            expect.any(String),
          ])
        },
      )
      expect(causesIn(await machine.doctor())).toEqual([])
    },
  )

  it('names the cause first when two things are wrong', async () => {
    await withBroken(
      [AGENT, SPIRE_AGENT],
      () => {
        machine.edit(AGENT, 'hash_ek', 'auto')
        machine.edit(SPIRE_AGENT, '"1s"', '"30s"')
        machine.site.spire.entries.set(
          'e1',
          fakeEntry('e1', 'spiffe://example.org/workload', 'spiffe://example.org/spire/agent/keylime/gone', [
            'unix:uid:0',
          ]),
        )
      },
      async () => {
        const findings = await machine.doctor()
        expect(causesIn(findings)).toEqual(['TK-ID-RANDOM', 'TK-SPIRE-SLOW'])
        expect(findings.find(({ id }) => id === 'TK-ID-ORPHAN')?.because).toEqual(['TK-ID-RANDOM'])
      },
    )
    machine.site.spire.entries.clear()
  })
})

const node = (index: number): FakeNode => machine.site.keylime.node(index)

/** Changes a record, asks doctor for the causes, and changes it back. */
async function causesWith(
  index: number,
  fields: Readonly<Record<string, unknown>>,
  back: Readonly<Record<string, unknown>>,
): Promise<readonly string[]> {
  machine.site.keylime.verifier.set(node(index).agentId, fields)
  const findings = await machine.doctor()
  machine.site.keylime.verifier.set(node(index).agentId, back)
  return causesIn(findings)
}

describe('doctor on the hosts', () => {
  it('names a state that no quote stands behind [P02]', async () => {
    expect(await causesWith(0, { attestation_count: 0 }, { attestation_count: 23 })).toEqual(['TK-KL-NEVER'])
  })

  it('names a host that nobody polls any more [P03]', async () => {
    const now = Math.floor(Date.now() / 1000)
    const back = { last_successful_attestation: now + 5 }
    expect(await causesWith(0, { last_successful_attestation: now - 400 }, back)).toEqual(['TK-KL-FROZEN'])
  })

  it('names two hosts that are enrolled in one place [P04]', async () => {
    const { hosts } = (await machine.view()).fleet
    const portOf = (index: number): number | undefined =>
      hosts.find(({ agentId }) => agentId === node(index).agentId)?.record?.value.port
    expect(await causesWith(1, { port: portOf(0) }, { port: portOf(1) })).toEqual(['TK-ID-SAME-PLACE'])
  })

  it('names entries that reach no agent [P19]', async () => {
    machine.site.spire.entries.set(
      'e1',
      fakeEntry('e1', 'spiffe://example.org/workload', 'spiffe://example.org/spire/agent/keylime/gone', ['unix:uid:0']),
    )
    const findings = await machine.doctor()
    machine.site.spire.entries.clear()
    expect(causesIn(findings)).toEqual(['TK-ID-ORPHAN'])
  })

  it('names a verifier that speaks no version of ours [P18]', async () => {
    machine.site.keylime.verifier.setVersions(['1.0'])
    const findings = await machine.doctor()
    machine.site.keylime.verifier.setVersions(['2.1', '2.2', '2.3', '2.4', '2.5', '2.6'])
    expect(causesIn(findings)).toContain('TK-KL-VERSION')
    expect(findings.find(({ id }) => id === 'TK-SRC-VERIFIER')?.because).toEqual(['TK-KL-VERSION'])
  })

  it('does not take a source that is away for a fault of the hosts: UNKNOWN', async () => {
    machine.site.spire.stop()
    const findings = await machine.doctor()
    await machine.site.spire.start()
    expect(causesIn(findings)).toEqual(['TK-SRC-SPIRE'])
    expect(findings.every(({ severity }) => severity === 'unknown')).toBe(true)
  })
})

describe('doctor --prove', () => {
  it('finds nothing where nothing is wrong: the verifier and the other hosts refuse what this host can show', async () => {
    expect(causesIn(await machine.doctor({ prove: true }))).toEqual([])
  })

  it('finds an agent certificate that the verifier takes for an administrator, by its answer alone [P08]', async () => {
    const pair = await machine.site.keylime.ca.issue('agent')
    await withBroken(
      [`${CERTS}/agent.crt`, `${CERTS}/agent.key`],
      () => {
        machine.write(`${CERTS}/agent.crt`, pair.chainPem)
        machine.write(`${CERTS}/agent.key`, pair.keyPem())
      },
      async () => {
        const findings = await machine.doctor({ prove: true })
        const proved = findings.filter(({ evidence }) => evidence?.['proved'] === true)
        expect(proved.map(({ id, message }) => [id, message])).toEqual([
          ['TK-CERT-ADMIN', expect.stringMatching(/^the verifier 127\.0\.0\.1:\d+ accepts it as a client$/)],
        ])
      },
    )
  })

  it('finds a pair of this host that another host takes too, and names that host [P09]', async () => {
    const [, other] = machine.agents
    const pair = await other?.clientCa.issue('plugin.auth', { eku: ['clientAuth'] })
    await withBroken(
      ['/etc/spire/plugin.crt', '/etc/spire/plugin.key'],
      () => {
        machine.write('/etc/spire/plugin.crt', pair?.pem ?? '')
        machine.write('/etc/spire/plugin.key', pair?.keyPem() ?? '')
      },
      async () => {
        expect((await machine.doctor()).map(({ id }) => id)).not.toContain('TK-NET-CROSS')
        const crossed = (await machine.doctor({ prove: true })).filter(({ id }) => id === 'TK-NET-CROSS')
        expect(crossed.map(({ message }) => message)).toEqual([
          expect.stringMatching(new RegExp(`at 127\\.0\\.0\\.1:${other?.port} accepts .*plugin\\.crt of this host$`)),
        ])
      },
    )
  })
})

describe('the checks', () => {
  it('name every finding they can make, and each finding of the catalogue is made by one or by watch', () => {
    const named = new Set(CHECKS.flatMap(({ finds }) => finds))
    const others = ['TK-USAGE', 'TK-FAULT', 'TK-CONF-ABSENT', 'TK-DOC-UNSEEN']
    const unmade = Object.keys(FINDINGS).filter(
      (id) => !named.has(id as never) && !id.startsWith('TK-WATCH-') && !/^TK-(PLAN|PKI|RENEW|ACT)-/.test(id),
    )
    expect(unmade.toSorted()).toEqual(others.toSorted())
    expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length)
    expect(DEFAULT_AGENT_UUID).toMatch(/^d432fbb3/)
  })
})
