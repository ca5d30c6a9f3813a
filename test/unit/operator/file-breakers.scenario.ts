// What can be broken about the files of a machine, each so that doctor names it as the only cause.
import type { Breaker } from './breaking.ts'

const AGENT = '/etc/keylime/agent.conf'
const VERIFIER = '/etc/keylime/verifier.conf'
const SERVER = '/etc/spire/server.conf'
const SPIRE_AGENT = '/etc/spire/agent.conf'
const CERTS = '/etc/keylime/certs'

/** The breakers of files. */
export const FILE_BREAKERS: readonly Breaker[] = [
  {
    what: 'a misspelt key of the plugin [P07]',
    check: 'conf-plugin',
    id: 'TK-CONF-PLUGIN',
    files: [SERVER],
    breakIt: (m) => m.edit(SERVER, 'ek_ca_path', 'ek_ca_pth'),
  },
  {
    what: 'a bare word where Keylime wants a list [P29]',
    check: 'conf-keylime-lists',
    id: 'TK-CONF-LIST',
    files: [VERIFIER],
    breakIt: (m) => m.edit(VERIFIER, '["chain.crt"]', 'chain.crt'),
  },
  {
    what: 'a key that stands twice [P29]',
    check: 'conf-files',
    id: 'TK-CONF-INVALID',
    files: [VERIFIER],
    breakIt: (m) => m.edit(VERIFIER, 'quote_interval = 2', 'quote_interval = 2\nquote_interval = 3'),
  },
  {
    what: 'an invented key of the agent [P28]',
    check: 'conf-keylime-keys',
    id: 'TK-CONF-UNKNOWN-KEY',
    files: [AGENT],
    breakIt: (m) => m.edit(AGENT, 'contact_ip', 'agent_contact_ip = "10.0.0.7"\ncontact_ip'),
  },
  {
    what: 'a file that nobody reads [P06]',
    check: 'conf-wrong-file',
    id: 'TK-CONF-WRONG-FILE',
    files: ['/etc/keylime/keylime-agent.conf'],
    breakIt: (m) => void m.write('/etc/keylime/keylime-agent.conf', '[agent]\nuuid = "hash_ek"\n'),
  },
  {
    what: 'a loopback contact address [P29]',
    check: 'conf-contact',
    id: 'TK-CONF-CONTACT',
    files: [AGENT],
    breakIt: (m) => m.edit(AGENT, '10.0.0.7', '127.0.0.1'),
  },
  {
    what: 'an agent without uuid [P06]',
    check: 'identity-conf',
    id: 'TK-ID-DEFAULT',
    files: [AGENT],
    breakIt: (m) => m.edit(AGENT, 'uuid = "hash_ek"\n', ''),
  },
  {
    what: 'an agent with uuid "auto" [P06]',
    check: 'identity-conf',
    id: 'TK-ID-RANDOM',
    files: [AGENT],
    breakIt: (m) => m.edit(AGENT, 'hash_ek', 'auto'),
  },
  {
    what: 'a certificate file that is gone [P10]',
    check: 'certs-files',
    id: 'TK-CERT-FILE',
    files: [`${CERTS}/plugin-gone.crt`, AGENT],
    breakIt: (m) => m.edit(AGENT, '/agent.crt', '/plugin-gone.crt'),
  },
  {
    what: 'a key of another certificate [P17]',
    check: 'certs-files',
    id: 'TK-CERT-KEY',
    files: [AGENT],
    breakIt: (m) => m.edit(AGENT, '/agent.key', '/plugin.key'),
  },
  {
    what: 'a certificate that has ended [P10]',
    check: 'certs-files',
    id: 'TK-CERT-FILE',
    files: [`${CERTS}/agent.crt`, `${CERTS}/agent.key`],
    breakIt: async (m) => {
      const pair = await m.ca.issue('agent', { eku: ['serverAuth'], validity: 'expired' })
      m.write(`${CERTS}/agent.crt`, pair.chainPem)
      m.write(`${CERTS}/agent.key`, pair.keyPem())
    },
  },
  {
    what: 'an agent certificate good for clients [P08]',
    check: 'certs-admin',
    id: 'TK-CERT-ADMIN',
    files: [`${CERTS}/agent.crt`, `${CERTS}/agent.key`],
    breakIt: async (m) => {
      const pair = await m.ca.issue('agent', { eku: ['serverAuth', 'clientAuth'] })
      m.write(`${CERTS}/agent.crt`, pair.chainPem)
      m.write(`${CERTS}/agent.key`, pair.keyPem())
    },
  },
  {
    what: 'a plugin certificate that its agent does not know [P11]',
    check: 'certs-clients',
    id: 'TK-CERT-CHAIN',
    files: ['/etc/spire/plugin.crt', '/etc/spire/plugin.key'],
    breakIt: async (m) => {
      const other = await (await m.pki.root('Elsewhere')).issue('plugin', { eku: ['clientAuth'] })
      m.write('/etc/spire/other.crt', other.chainPem)
      m.edit(AGENT, '/etc/spire/plugin.crt', '/etc/spire/other-root.crt')
      m.write('/etc/spire/other-root.crt', (await m.pki.root('Third')).pem)
      m.write('/etc/spire/plugin.crt', other.chainPem)
      m.write('/etc/spire/plugin.key', other.keyPem())
    },
  },
  {
    what: 'units that require each other in a circle [P14]',
    check: 'boot-cycle',
    id: 'TK-BOOT-CYCLE',
    files: ['/etc/systemd/system/openbao.service', '/etc/systemd/system/spire-agent.service'],
    breakIt: (m) => {
      m.write(
        '/etc/systemd/system/openbao.service',
        '[Unit]\nRequires=spire-agent.service\n[Service]\nExecStart=/usr/bin/bao server\n',
      )
      m.edit('/etc/systemd/system/spire-agent.service', 'After=', 'Requires=openbao.service\nAfter=')
    },
  },
  {
    what: 'a renewal that needs the SVID [P14]',
    check: 'boot-credential',
    id: 'TK-BOOT-CREDENTIAL',
    files: ['/certs.d/agent.hcl'],
    breakIt: (m) =>
      void m.write(
        '/certs.d/agent.hcl',
        'cert_file = "/a.crt"\nkey_file = "/a.key"\ncommon_name = "a"\nrole = "r"\naddress = "https://bao:8200"\nca_file = "/ca"\nsvid_cert_file = "/s.crt"\nsvid_key_file = "/s.key"\n',
      ),
  },
  {
    what: 'a socket folder that vanishes [P30]',
    check: 'boot-run',
    id: 'TK-BOOT-RUN',
    files: ['/usr/lib/tmpfiles.d/spire.conf'],
    breakIt: (m) => m.remove('/usr/lib/tmpfiles.d/spire.conf'),
  },
  {
    what: 'a unit that forbids the secure mount [P30]',
    check: 'boot-protect',
    id: 'TK-BOOT-PROTECT',
    files: ['/etc/systemd/system/keylime_agent.service'],
    breakIt: (m) => m.edit('/etc/systemd/system/keylime_agent.service', '[Service]', '[Service]\nProtectSystem=strict'),
  },
  {
    what: 'a unit that names one that is not there [P24]',
    check: 'boot-units',
    id: 'TK-BOOT-UNIT',
    files: ['/etc/systemd/system/spire-agent.service'],
    breakIt: (m) => m.edit('/etc/systemd/system/spire-agent.service', 'keylime_agent.service', 'keylime-agent.service'),
  },
  {
    what: 'a bundle of another authority [P15]',
    check: 'bundle-file',
    id: 'TK-BUNDLE-STALE',
    files: ['/etc/spire/bundle.pem'],
    breakIt: async (m) => void m.write('/etc/spire/bundle.pem', (await m.pki.root('Old')).pem),
  },
  {
    what: 'an agent that never asks for a bundle [P15]',
    check: 'bundle-rebootstrap',
    id: 'TK-BUNDLE-REBOOTSTRAP',
    files: [SPIRE_AGENT],
    breakIt: (m) => m.edit(SPIRE_AGENT, '"auto"', '"never"'),
  },
  {
    what: 'another plugin than the pinned one [P16]',
    check: 'plugin-sum',
    id: 'TK-PLUGIN-SUM',
    files: ['/usr/bin/keylime-attestor-server.ts'],
    breakIt: (m) => void m.write('/usr/bin/keylime-attestor-server.ts', '// other\n'),
  },
  {
    what: 'a plugin that is not pinned [P16]',
    check: 'plugin-sum',
    id: 'TK-PLUGIN-UNPINNED',
    files: [SERVER],
    breakIt: (m) => m.edit(SERVER, /plugin_checksum = .*\n/, ''),
  },
  {
    what: 'a script in the place of the plugin [P12] [P35]',
    check: 'plugin-sum',
    id: 'TK-PLUGIN-FOREIGN',
    files: [SERVER, '/usr/bin/wrapper'],
    breakIt: (m) => {
      m.write('/usr/bin/wrapper', '#!/bin/sh\n')
      m.edit(SERVER, /plugin_cmd = ".*"/, `plugin_cmd = "${m.root}/usr/bin/wrapper"`)
      m.edit(
        SERVER,
        /plugin_checksum = ".*"/,
        `plugin_checksum = "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf"`,
      )
    },
  },
  {
    what: 'an agent that trusts the first server [P12]',
    check: 'plugin-bootstrap',
    id: 'TK-PLUGIN-INSECURE',
    files: [SPIRE_AGENT],
    breakIt: (m) => m.edit(SPIRE_AGENT, 'rebootstrap_mode', 'insecure_bootstrap = true\n  rebootstrap_mode'),
  },
  {
    what: 'notifications that delay the failure [P25]',
    check: 'keylime-notify',
    id: 'TK-KL-NOTIFY-AGENT',
    files: [VERIFIER],
    breakIt: (m) => m.edit(VERIFIER, "['webhook']", "['agent', 'webhook']"),
  },
  {
    what: 'an agent that syncs slowly [P25]',
    check: 'spire-sync',
    id: 'TK-SPIRE-SLOW',
    files: [SPIRE_AGENT],
    breakIt: (m) => m.edit(SPIRE_AGENT, '"1s"', '"30s"'),
  },
  {
    what: 'SPIRE without telemetry [P34]',
    check: 'spire-telemetry',
    id: 'TK-SPIRE-TELEMETRY',
    files: [SERVER],
    breakIt: (m) => m.edit(SERVER, /telemetry .*\n/, ''),
  },
  {
    what: 'endorsement certificates that nobody checks [P32]',
    check: 'identity-ek-ca',
    id: 'TK-ID-EK-UNCHECKED',
    files: [SERVER],
    breakIt: (m) => m.edit(SERVER, /ek_ca_path = .*\n/, ''),
  },
  {
    what: 'nobody who cuts hosts off [P25]',
    check: 'spire-cutoff',
    id: 'TK-SPIRE-CUTOFF',
    files: ['/proc/7/cmdline'],
    breakIt: (m) => m.edit('/proc/7/cmdline', 'ban', 'observe'),
  },
  {
    what: 'a check that a script turned off [P12] [P27]',
    check: 'secrets-unverified',
    id: 'TK-SEC-UNVERIFIED',
    files: ['/usr/local/bin/renew.sh'],
    breakIt: (m) =>
      void m.write(
        '/usr/local/bin/renew.sh',
        '#!/bin/sh\nexport VAULT_SKIP_VERIFY=true\nvault write pki_int/issue/keylime\n',
      ),
  },
  {
    what: 'a vault that is asked under the wrong name [P10]',
    check: 'secrets-variables',
    id: 'TK-SEC-VARIABLES',
    files: ['/usr/local/bin/renew.sh'],
    breakIt: (m) =>
      void m.write(
        '/usr/local/bin/renew.sh',
        '#!/bin/sh\nexport BAO_ADDR=https://bao:8200\nbao write pki_int/issue/keylime-services\n',
      ),
  },
  {
    what: 'a proxy that logs quotes [P33]',
    check: 'net-proxies',
    id: 'TK-NET-PROXY-LOG',
    files: ['/etc/nginx/conf.d/keylime.conf'],
    breakIt: (m) =>
      void m.write(
        '/etc/nginx/conf.d/keylime.conf',
        'server {\n  listen 443 ssl;\n  ssl_verify_client on;\n  location / { proxy_pass https://127.0.0.1:8881; }\n}\n',
      ),
  },
  {
    what: 'a proxy that lends its certificate [P08]',
    check: 'net-proxies',
    id: 'TK-NET-LENDS',
    files: ['/etc/nginx/conf.d/keylime.conf'],
    breakIt: (m) =>
      void m.write(
        '/etc/nginx/conf.d/keylime.conf',
        'server {\n  listen 127.0.0.1:9881;\n  access_log off;\n  location / { proxy_pass https://127.0.0.1:8881; proxy_ssl_certificate /etc/keylime/verifier.crt; }\n}\n',
      ),
  },
  {
    what: 'a second program that writes the same certificate [P21]',
    check: 'secrets-writers',
    id: 'TK-CERT-WRITERS',
    files: ['/certs.d/agent.hcl', '/usr/local/bin/old-renew.sh'],
    breakIt: (m) => {
      m.write(
        '/certs.d/agent.hcl',
        'cert_file = "/etc/keylime/certs/agent.crt"\nkey_file = "/etc/keylime/certs/agent.key"\ncommon_name = "a"\nissuer = "self"\n',
      )
      m.write('/usr/local/bin/old-renew.sh', '#!/bin/sh\n# keylime\ncp /tmp/new.crt /etc/keylime/certs/agent.crt\n')
    },
  },
  {
    what: 'a baseline of another kernel [P26]',
    check: 'policy-kernel',
    id: 'TK-POLICY-KERNEL',
    files: ['/var/lib/towerkeep/baselines/auth.json'],
    breakIt: (m) =>
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
  },
  {
    what: 'retries that are shorter than a boot [P05]',
    check: 'keylime-budget',
    id: 'TK-KL-BUDGET',
    files: ['/journal/20261128-recover-auth.json'],
    breakIt: (m) =>
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
  },
]
