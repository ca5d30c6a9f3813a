/**
 * What the tower's Keylime has otherwise than the rig's: an address, certificates from OpenBao, a webhook.
 *
 * @module
 */
import type { KeylimeConfOptions } from '../services/keylime-conf.ts'
import type { Postgresql } from '../services/postgresql.ts'
import { BELL_PORT, SERVICE_NAMES, type Site } from './hosts.ts'
import type { ServiceCertificates } from './service-certificates.ts'
import type { TowerOptions } from './tower-options.ts'

/** Where the verifier reports a host that it failed. */
const WEBHOOK_URL = `https://${SERVICE_NAMES.spire}:${BELL_PORT}/keylime`

/**
 * Gathers values of the configuration files.
 *
 * @param options `patience` and `webhook`.
 */
export function keylimeSettings(
  { dir, chain }: ServiceCertificates,
  { ip }: Site,
  options: Pick<TowerOptions, 'patience' | 'webhook'>,
  database?: Postgresql,
): NonNullable<KeylimeConfOptions['settings']> {
  const anchors = `["${chain}"]`
  const client = (name: string): Readonly<Record<string, string>> => ({
    registrar_ip: ip,
    tls_dir: dir,
    client_key: `${name}.key`,
    client_cert: `${name}.crt`,
    trusted_server_ca: anchors,
  })
  const server = (name: string): Readonly<Record<string, string>> => ({
    ip,
    tls_dir: dir,
    server_key: `${name}.key`,
    server_cert: `${name}.crt`,
    trusted_client_ca: anchors,
  })
  const patient = options.patience === 'default' ? { exponential_backoff: 'True', retry_interval: '2' } : {}
  const webhook = { enabled_revocation_notifications: "['webhook']", webhook_url: WEBHOOK_URL }
  const shared = database === undefined ? {} : { database_url: database.url('registrar') }
  return {
    verifier: {
      ...server('verifier'),
      ...client('verifier'),
      ...patient,
      ...(options.webhook === true ? webhook : {}),
    },
    registrar: { ...server('registrar'), ...shared },
    tenant: { verifier_ip: ip, ...client('tenant') },
  }
}
