/**
 * The configuration of the tower's SPIRE server.
 *
 * @module
 */
import { join } from 'node:path'
import type { ConfObject } from '../services/hcl-text.ts'
import { serverData as addresses, type ServiceAddress } from '../services/plugin-data.ts'
import type { SpireServerOptions } from '../services/spire-server.ts'
import { SPIRE_PORT } from './host.ts'
import { DOMAIN, FIRST_SITE, KEYLIME_PORTS, PUSH_VERIFIER_PORT, SECOND_SITE, SERVICE_NAMES } from './hosts.ts'
import type { ServiceCertificates } from './service-certificates.ts'
import type { TowerOptions } from './tower-options.ts'

/** What the configuration depends on. */
export interface ServerConfOptions {
  /** Folder of the tower. */
  readonly dir: string
  /** Folder of this SPIRE server. */
  readonly spireDir: string
  readonly certificates: ServiceCertificates
  readonly options: TowerOptions
}

/** Names the file of the server half's `plugin_data`, where a tower has one. */
export function serverDataFile(spireDir: string): string {
  return join(spireDir, 'keylime.hcl')
}

/**
 * Lists every verifier of a tower.
 *
 * @param options `twoSites` and `push`.
 */
export function verifierAddresses({
  twoSites = false,
  push = [],
}: Pick<TowerOptions, 'twoSites' | 'push'>): readonly ServiceAddress[] {
  const polling = (twoSites ? [FIRST_SITE, SECOND_SITE] : [FIRST_SITE]).map(({ names }) => ({
    host: names.verifier,
    port: KEYLIME_PORTS.verifier,
  }))
  return push.length === 0 ? polling : [...polling, { host: SERVICE_NAMES.verifier, port: PUSH_VERIFIER_PORT }]
}

/**
 * Gathers the server half's `plugin_data`.
 *
 * @param options Folder, certificates, what the tower asks for besides.
 */
export function serverData({ dir, certificates, options }: ServerConfOptions, change: ConfObject = {}): ConfObject {
  const sites = options.twoSites === true ? [FIRST_SITE, SECOND_SITE] : [FIRST_SITE]
  return {
    ...addresses(
      verifierAddresses(options),
      sites.map(({ names }) => ({ host: names.registrar, port: KEYLIME_PORTS.registrarTls })),
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
  const { spireDir, options } = from
  return {
    dir: spireDir,
    binDir: options.parts.spireBin,
    port: SPIRE_PORT,
    bindAddress: '0.0.0.0',
    trustDomain: DOMAIN,
    // Without it the plugin's metrics reach nobody, which doctor finds.
    blocks: { telemetry: { Prometheus: { host: '127.0.0.1', port: 9988 } } },
    agentTtl: '60s',
    svidTtl: '60s',
    plugin: {
      command: plugin ?? options.parts.serverPlugin,
      data: serverData(from),
      ...(options.serverDataFile === true
        ? { dataFile: { path: serverDataFile(spireDir), format: 'hcl' as const } }
        : {}),
    },
  }
}
