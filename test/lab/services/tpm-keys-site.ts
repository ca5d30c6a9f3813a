/**
 * A small SPIRE whose agent keeps its keys in a TPM: nodes prove themselves by join tokens, so that no Keylime is needed.
 *
 * @module
 */
import { join } from 'node:path'
import type { ConfObject } from './hcl-text.ts'

/** Trust domain of such a site. */
export const SITE_DOMAIN = 'example.org'

/** Life of an agent's SVID; it is renewed at half of it. */
const AGENT_TTL = '30s'

/** What the configuration of its server depends on. */
export interface TpmKeysServer {
  /** Existing folder for data and socket. */
  readonly folder: string
  readonly port: number
  /** Blocks of plugins besides. */
  readonly morePlugins?: ConfObject
}

/** What the configuration of an agent depends on. */
export interface TpmKeysAgent {
  /** Folder for data, wrapped keys and socket. */
  readonly folder: string
  readonly serverPort: number
  /** PEM of the server's CA. */
  readonly bundleFile: string
  /** The TPM with its keys. */
  readonly tpmPath: string
  /** Path of `key-manager-tpm`. */
  readonly keyManager: string
}

/** Names the socket of the server's API. */
export function serverSocket(folder: string): string {
  return join(folder, 'api.sock')
}

/**
 * Gathers server.conf.
 *
 * @param server Folder and port.
 */
export function tpmKeysServerConf({ folder, port, morePlugins }: TpmKeysServer): ConfObject {
  return {
    server: {
      bind_address: '127.0.0.1',
      bind_port: port,
      socket_path: serverSocket(folder),
      trust_domain: SITE_DOMAIN,
      data_dir: folder,
      log_level: 'DEBUG',
      agent_ttl: AGENT_TTL,
    },
    plugins: {
      'DataStore "sql"': {
        plugin_data: { database_type: 'sqlite3', connection_string: join(folder, 'data.sqlite3') },
      },
      // On disk, so that the same server can go on elsewhere.
      'KeyManager "disk"': { plugin_data: { keys_path: join(folder, 'keys.json') } },
      'NodeAttestor "join_token"': { plugin_data: {} },
      ...morePlugins,
    },
  }
}

/**
 * Gathers agent.conf.
 *
 * @param agent Folder, server, TPM.
 */
export function tpmKeysAgentConf({ folder, serverPort, bundleFile, tpmPath, keyManager }: TpmKeysAgent): ConfObject {
  return {
    agent: {
      server_address: '127.0.0.1',
      server_port: serverPort,
      socket_path: join(folder, 'agent.sock'),
      trust_domain: SITE_DOMAIN,
      trust_bundle_path: bundleFile,
      data_dir: join(folder, 'data'),
      log_level: 'DEBUG',
    },
    plugins: {
      'NodeAttestor "join_token"': { plugin_data: {} },
      'WorkloadAttestor "unix"': { plugin_data: {} },
      'KeyManager "tpm"': {
        plugin_cmd: keyManager,
        plugin_data: { directory: join(folder, 'tpm-keys'), tpm_path: tpmPath },
      },
    },
  }
}
