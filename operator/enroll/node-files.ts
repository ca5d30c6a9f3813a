/**
 * The files that a new node gets: text in a fixed order, without any secret, the same bytes each time.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { DEFAULT_TPM_PATH } from '@tower-of-omens/tpm-device'

/** What the files are made from. */
export interface NodeFacts {
  readonly host: string
  readonly ip: string
  readonly trustDomain: string
  readonly spireAddress: string
  readonly spirePort: number
  readonly registrarIp: string
  readonly registrarPort: number
  /** PEM: whom the node trusts, intermediate and root. */
  readonly caChain: string
  /** PEM: SPIRE's bundle. */
  readonly bundle: string
  /** Path of the agent half on the node. */
  readonly plugin: string
  /** `tpm`: the agent half quotes by itself and needs no certificate; `keylime-agent`: it asks the Keylime agent. */
  readonly evidence: 'tpm' | 'keylime-agent'
  /** The node's TPM, for `evidence: 'tpm'`. */
  readonly tpmPath: string
  readonly openbao: { readonly address: string; readonly mount: string; readonly role: string; readonly ttl: string }
}

const CERTS = '/etc/keylime/certs'

/**
 * Makes the files.
 *
 * @param facts About node and tower.
 * @returns Path on the node to content, with a list of checksums at the end.
 */
export function nodeFiles(facts: NodeFacts): ReadonlyMap<string, string> {
  const pull = facts.evidence === 'keylime-agent'
  const files = new Map<string, string>([
    ['/etc/keylime/agent.conf', agentConf(facts)],
    [`${CERTS}/ca-chain.crt`, facts.caChain],
    ['/etc/spire/bundle.pem', facts.bundle],
    ['/etc/spire/agent.conf', spireAgentConf(facts)],
    ['/etc/towerkeep/certs.d/agent.hcl', agentCert(facts)],
    ...(pull ? [['/etc/towerkeep/certs.d/plugin.hcl', pluginCert(facts)] as const] : []),
    ['/etc/tmpfiles.d/spire-agent.conf', 'd /run/spire 0755 root root -\nd /run/spire/sockets 0755 root root -\n'],
    ['/etc/systemd/system/spire-agent.service.d/tower.conf', unit('keylime_agent.service network-online.target')],
    ['/etc/systemd/system/keylime_agent.service.d/tower.conf', unit('network-online.target')],
  ])
  const sums = [...files].map(([path, text]) => `${createHash('sha256').update(text).digest('hex')}  ${path.slice(1)}`)
  return files.set('SHA256SUMS', `${sums.join('\n')}\n`)
}

function agentConf({ ip, registrarIp, registrarPort, evidence }: NodeFacts): string {
  const clients = [
    `${CERTS}/ca-chain.crt`,
    ...(evidence === 'tpm' ? [] : [`${CERTS}/plugin.crt`, `${CERTS}/plugin-next.crt`]),
  ]
  return `[agent]
uuid = "hash_ek"
ip = "0.0.0.0"
port = 9002
contact_ip = "${ip}"
contact_port = 9002
registrar_ip = "${registrarIp}"
registrar_port = ${registrarPort}
enable_agent_mtls = true
server_cert = "${CERTS}/agent.crt"
server_key = "${CERTS}/agent.key"
trusted_client_ca = "[${clients.join(', ')}]"
`
}

function spireAgentConf({ trustDomain, spireAddress, spirePort, plugin, evidence, tpmPath }: NodeFacts): string {
  const data =
    evidence === 'tpm'
      ? `      evidence = "tpm"${tpmPath === DEFAULT_TPM_PATH ? '' : `\n      tpm_path = ${JSON.stringify(tpmPath)}`}
      keylime_agent_data = "/var/lib/keylime/agent_data.json"`
      : `      keylime_agent_host = "127.0.0.1"
      keylime_agent_port = 9002
      keylime_agent_use_tls = true
      keylime_agent_ca_cert = "${CERTS}/ca-chain.crt"
      keylime_agent_client_cert = "${CERTS}/plugin.crt"
      keylime_agent_client_key = "${CERTS}/plugin.key"`
  return `agent {
  trust_domain = "${trustDomain}"
  server_address = "${spireAddress}"
  server_port = ${spirePort}
  socket_path = "/run/spire/sockets/agent.sock"
  data_dir = "/var/lib/spire/agent"
  trust_bundle_path = "/etc/spire/bundle.pem"
  rebootstrap_mode = "auto"
  log_level = "INFO"
  experimental { sync_interval = "1s" }
}

plugins {
  NodeAttestor "keylime" {
    plugin_cmd = "${plugin}"
    # towerkeep enroll apply writes the checksum of the file that is installed.
    plugin_checksum = ""
    plugin_data {
${data}
    }
  }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
}

function agentCert({ host, ip, openbao }: NodeFacts): string {
  return `cert_file = "${CERTS}/agent.crt"
key_file = "${CERTS}/agent.key"
common_name = "${host}"
dns_names = ["${host}", "localhost"]
ip_addresses = ["${ip}", "127.0.0.1"]
issuer = "openbao"
address = "${openbao.address}"
ca_file = "${CERTS}/ca-chain.crt"
mount = "${openbao.mount}"
role = "${openbao.role}"
ttl = "${openbao.ttl}"
approle_role_id_file = "/etc/towerkeep/role-id"
approle_secret_id_file = "/etc/towerkeep/secret-id"
trust_to_root = ["${CERTS}/ca-chain.crt"]
reload = ["systemctl", "try-restart", "keylime_agent.service"]
`
}

// The agent half's own certificate: nobody but this node's Keylime agent knows it, so it opens nothing elsewhere.
function pluginCert({ host }: NodeFacts): string {
  return `cert_file = "${CERTS}/plugin.crt"
key_file = "${CERTS}/plugin.key"
common_name = "plugin.${host}"
issuer = "self"
use = "client"
ttl = "168h"
announce_file = "${CERTS}/plugin-next.crt"
reload = ["systemctl", "try-restart", "keylime_agent.service"]
`
}

// Order without requirement: what a unit waits for must not take it down.
function unit(after: string): string {
  return `[Unit]
Wants=${after}
After=${after}

[Service]
Restart=always
RestartSec=2s
`
}

/** What betrays a secret in a text that is to be read by anybody. */
const SECRETS = [
  /PRIVATE KEY/,
  /\bhvs\.[A-Za-z0-9_-]{20,}/,
  /\bs\.[A-Za-z0-9]{24}\b/,
  /secret[-_]?id\s*=\s*"[0-9a-f]{8}-/i,
]

/**
 * Finds secrets in files.
 *
 * @param files Path to content.
 * @returns Paths of those that hold one.
 */
export function filesWithSecrets(files: ReadonlyMap<string, string>): readonly string[] {
  return [...files].filter(([, text]) => SECRETS.some((pattern) => pattern.test(text))).map(([path]) => path)
}
