/**
 * The configuration files of Keylime 7.14's verifier, registrar, tenant and CA, as text.
 *
 * @module
 */

import { RigError } from '../processes/errors.ts'

/** Ports of the two services. */
export interface KeylimePorts {
  readonly verifier: number
  /** Plain HTTP, for registration. */
  readonly registrar: number
  readonly registrarTls: number
}

/** One configuration file. */
export type KeylimeConfName = 'verifier' | 'registrar' | 'tenant' | 'ca' | 'logging'

/** What differs from one Keylime to the next. */
export interface KeylimeConfOptions {
  /** KEYLIME_DIR: databases and certificates. */
  readonly stateDir: string
  readonly ports: KeylimePorts
  /** Seconds between two quotes; default 2, as Keylime's. */
  readonly quoteInterval?: number
  /** Whether the verifier speaks mutual TLS with agents; default true. */
  readonly agentMtls?: boolean
  /** Whether agents report to the verifier; default `pull`, it asks them. */
  readonly mode?: 'pull' | 'push'
  /** Values that replace the ones below, by file and key. */
  readonly settings?: Readonly<Partial<Record<KeylimeConfName, Readonly<Record<string, string>>>>>
}

/**
 * Writes out every file of the configuration.
 *
 * @returns Text of each.
 * @throws {RigError} A setting names a key that its file does not have.
 * @see keylime 7.14.3, templates/2.6
 */
export function keylimeConfFiles(options: KeylimeConfOptions): ReadonlyMap<KeylimeConfName, string> {
  const texts: Readonly<Record<KeylimeConfName, string>> = {
    verifier: verifierConf(options),
    registrar: registrarConf(options),
    tenant: tenantConf(options),
    ca: CA_CONF,
    logging: LOGGING_CONF,
  }
  const names = Object.keys(texts) as KeylimeConfName[]
  return new Map(names.map((name) => [name, withSettings(texts[name], options.settings?.[name] ?? {})]))
}

function withSettings(text: string, settings: Readonly<Record<string, string>>): string {
  let changed = text
  for (const [key, value] of Object.entries(settings)) {
    const line = new RegExp(`^${key} *=.*$`, 'm')
    if (!line.test(changed)) throw new RigError(`the configuration has no key ${key} to change`)
    changed = changed.replace(line, () => `${key} = ${value}`)
  }
  return changed
}

/** Attestations recorded beyond the database: switched off, but the keys must be there. */
const NO_DURABLE_ATTESTATION = `durable_attestation_import =
persistent_store_url =
transparency_log_url =
time_stamp_authority_url =
time_stamp_authority_certs_path =
persistent_store_format = json
persistent_store_encoding =
transparency_log_sign_algo = sha256
signed_attributes = ek_tpm,aik_tpm,ekcert
`

function verifierConf(options: KeylimeConfOptions): string {
  return `[verifier]
version = 2.5
uuid = default
ip = 127.0.0.1
port = ${options.ports.verifier}
registrar_ip = 127.0.0.1
registrar_port = ${options.ports.registrarTls}
enable_agent_mtls = ${options.agentMtls === false ? 'False' : 'True'}
tls_dir = generate
server_key = default
server_key_password =
server_cert = default
trusted_client_ca = default
client_key = default
client_key_password =
client_cert = default
trusted_server_ca = default
database_url = sqlite
database_pool_sz_ovfl = 5,10
auto_migrate_db = True
num_workers = 1
# An unreachable agent turns to state 7 after 5 s here, not after a minute as with the defaults.
exponential_backoff = False
retry_interval = 1
max_retries = 5
request_timeout = 10.0
quote_interval = ${options.quoteInterval ?? 2}
max_upload_size = 104857600
measured_boot_policy_name = accept-all
measured_boot_imports = []
measured_boot_evaluate = once
severity_labels = ["info", "notice", "warning", "error", "critical", "alert", "emergency"]
severity_policy = [{"event_id": ".*", "severity_label": "emergency"}]
ignore_tomtou_errors = False
${NO_DURABLE_ATTESTATION}require_allow_list_signatures = False
mode = ${options.mode ?? 'pull'}

[revocations]
enabled_revocation_notifications = []
zmq_ip = 127.0.0.1
zmq_port = 8992
webhook_url =
`
}

function registrarConf(options: KeylimeConfOptions): string {
  return `[registrar]
version = 2.5
ip = 127.0.0.1
port = ${options.ports.registrar}
tls_port = ${options.ports.registrarTls}
tls_dir = default
server_key = default
server_key_password =
server_cert = default
trusted_client_ca = default
database_url = sqlite
database_pool_sz_ovfl = 5,10
auto_migrate_db = True
${NO_DURABLE_ATTESTATION}malformed_cert_action = warn
`
}

function tenantConf(options: KeylimeConfOptions): string {
  return `[tenant]
version = 2.5
verifier_ip = 127.0.0.1
verifier_port = ${options.ports.verifier}
registrar_ip = 127.0.0.1
registrar_port = ${options.ports.registrarTls}
tls_dir = default
enable_agent_mtls = ${options.agentMtls === false ? 'False' : 'True'}
client_key = default
client_key_password =
client_cert = default
trusted_server_ca = default
tpm_cert_store = ${options.stateDir}/tpm_cert_store
max_payload_size = 1048576
accept_tpm_hash_algs = ['sha512', 'sha384', 'sha256']
accept_tpm_encryption_algs = ['ecc', 'rsa']
accept_tpm_signing_algs = ['ecschnorr', 'rsassa']
exponential_backoff = True
retry_interval = 2
max_retries = 5
request_timeout = 60
require_ek_cert = False
ek_check_script =
mb_refstate =
`
}

const CA_CONF = `[ca]
version = 2.5
password = default
cert_country = US
cert_ca_name = Keylime Certificate Authority
cert_state = MA
cert_locality = Lexington
cert_organization = MITLL
cert_org_unit = 53
cert_ca_lifetime = 3650
cert_lifetime = 365
cert_bits = 2048
cert_crl_dist = http://localhost:38080/crl
`

const LOGGING_CONF = `[logging]
version = 2.5

[loggers]
keys = root,keylime

[handlers]
keys = consoleHandler

[formatters]
keys = formatter

[formatter_formatter]
format = %(asctime)s.%(msecs)03d - %(name)s - %(levelname)s - %(message)s
datefmt = %Y-%m-%d %H:%M:%S

[logger_root]
level = INFO
handlers = consoleHandler

[handler_consoleHandler]
class = StreamHandler
level = INFO
formatter = formatter
args = (sys.stdout,)

[logger_keylime]
level = INFO
qualname = keylime
handlers =
`
