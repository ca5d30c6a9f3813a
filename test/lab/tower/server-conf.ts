/**
 * The configuration of the tower's SPIRE server.
 *
 * @module
 */
import { join } from 'node:path'
import type { ConfObject } from '../services/hcl-text.ts'
import { serverData as addresses } from '../services/plugin-data.ts'
import type { SpireServerOptions } from '../services/spire-server.ts'
import { SPIRE_PORT } from './host.ts'
import { DOMAIN, KEYLIME_PORTS, SERVICE_NAMES } from './hosts.ts'
import type { ServiceCertificates } from './service-certificates.ts'
import type { TowerOptions } from './tower-options.ts'

/** What the configuration depends on. */
export interface ServerConfOptions {
  /** Folder of the tower. */
  readonly dir: string
  readonly certificates: ServiceCertificates
  readonly options: TowerOptions
}

/** Names the file of the server half's `plugin_data`, where a tower has one. */
export function serverDataFile(dir: string): string {
  return join(dir, 'spire', 'keylime.hcl')
}

/**
 * Gathers the server half's `plugin_data`.
 *
 * @param options Folder, certificates, what the tower asks for besides.
 */
export function serverData({ dir, certificates, options }: ServerConfOptions, change: ConfObject = {}): ConfObject {
  return {
    ...addresses(
      [{ host: SERVICE_NAMES.verifier, port: KEYLIME_PORTS.verifier }],
      [{ host: SERVICE_NAMES.registrar, port: KEYLIME_PORTS.registrarTls }],
      { ca: certificates.chain, cert: certificates.cert('plugin'), key: certificates.key('plugin') },
    ),
    require_ek_uuid: true,
    ek_ca_path: join(dir, 'ek-ca'),
    ...options.serverData,
    ...change,
  }
}

/**
 * Gathers what the SPIRE server is started with.
 *
 * @param from Folder, certificates, what the tower asks for besides.
 * @param plugin Executable of the server half; default: ours.
 */
export function serverOptions(from: ServerConfOptions, plugin?: string): SpireServerOptions {
  const { dir, options } = from
  return {
    dir: join(dir, 'spire'),
    binDir: options.parts.spireBin,
    port: SPIRE_PORT,
    bindAddress: '0.0.0.0',
    trustDomain: DOMAIN,
    agentTtl: '60s',
    svidTtl: '60s',
    plugin: {
      command: plugin ?? options.parts.serverPlugin,
      data: serverData(from),
      ...(options.serverDataFile === true ? { dataFile: { path: serverDataFile(dir), format: 'hcl' as const } } : {}),
    },
  }
}
