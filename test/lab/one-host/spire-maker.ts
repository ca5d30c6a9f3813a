/**
 * Makes SPIRE servers and agents whose plugins know the rig's Keylime: the rig's own pair, and more for a test that
 * needs another configuration.
 *
 * @module
 */
import { join } from 'node:path'
import type { Parts } from '../parts/parts.ts'
import { freePorts } from '../processes/ports.ts'
import type { Processes } from '../processes/processes.ts'
import type { ConfObject } from '../services/hcl-text.ts'
import type { Keylime } from '../services/keylime.ts'
import { newSpireAgent, type SpireAgent } from '../services/spire-agent.ts'
import { newSpireServer, type PluginSpec, type SpireServer, type SpireServerOptions } from '../services/spire-server.ts'

/** The trust domain of every rig. */
export const TRUST_DOMAIN = 'tower.example'

/** What differs in a plugin's block: `data` is merged key by key, after all keys but `only` have been dropped. */
export interface PluginChange extends Partial<PluginSpec> {
  readonly only?: readonly string[]
}

/** What differs in a server: of its configuration, and of its plugin's block. */
export interface ServerChange extends Pick<Partial<SpireServerOptions>, 'agentTtl' | 'svidTtl' | 'format' | 'more'> {
  /** Suffix of its folder and log; default none. */
  readonly name?: string
  readonly plugin?: PluginChange
}

/** What differs in an agent. */
export interface AgentChange {
  readonly name?: string
  /** How often it asks its server; default "5s", as SPIRE's. */
  readonly syncInterval?: string
  /** More keys of the `agent` block. */
  readonly more?: ConfObject
  readonly plugin?: PluginChange
}

/** Makes servers and agents. */
export interface SpireMaker {
  /** Configures a server, not yet started. */
  newServer(change?: ServerChange): Promise<SpireServer>
  /** Configures an agent of a running server, not yet started. */
  newAgent(server: SpireServer, change?: AgentChange): Promise<SpireAgent>
}

/** What surrounds them. */
export interface MakerOptions {
  readonly dir: string
  readonly parts: Parts
  readonly keylime: Keylime
  /** The plugin's client certificate at the Keylime agent. */
  readonly client: { readonly certFile: string; readonly keyFile: string }
  readonly agentDir: string
  readonly agentPort: number
}

/**
 * Prepares to make servers and agents.
 *
 * @param processes Where their processes are kept.
 * @param options Keylime and its files.
 * @returns The maker.
 */
export function newSpireMaker(processes: Processes, options: MakerOptions): SpireMaker {
  const { dir, parts } = options
  return {
    async newServer({ name, plugin, ...change } = {}) {
      const full = suffixed('spire-server', name)
      return newSpireServer(processes, {
        ...change,
        name: full,
        dir: join(dir, full),
        binDir: parts.spireBin,
        port: await freePorts(),
        trustDomain: TRUST_DOMAIN,
        plugin: changed(serverPlugin(options), plugin),
      })
    },
    async newAgent(server, { name, plugin, ...change } = {}) {
      const full = suffixed('spire-agent', name)
      const bundleFile = join(dir, `${full}-bundle.pem`)
      await server.writeBundle(bundleFile)
      return newSpireAgent(processes, {
        ...change,
        name: full,
        dir: join(dir, full),
        binDir: parts.spireBin,
        serverPort: server.port,
        trustDomain: TRUST_DOMAIN,
        bundleFile,
        plugin: changed(agentPlugin(options), plugin),
      })
    },
  }
}

function suffixed(base: string, name: string | undefined): string {
  return name === undefined ? base : `${base}-${name}`
}

function serverPlugin({ parts, keylime }: MakerOptions): PluginSpec {
  return {
    command: parts.serverPlugin,
    data: {
      keylime_verifier_host: '127.0.0.1',
      keylime_verifier_port: String(keylime.verifierPort),
      keylime_registrar_host: '127.0.0.1',
      keylime_registrar_port: String(keylime.registrarTlsPort),
      keylime_tls_ca_cert_file: join(keylime.caDir, 'cacert.crt'),
      keylime_tls_cert_file: join(keylime.caDir, 'client-cert.crt'),
      keylime_tls_key_file: join(keylime.caDir, 'client-private.pem'),
    },
  }
}

function agentPlugin({ parts, client, agentDir, agentPort }: MakerOptions): PluginSpec {
  return {
    command: parts.agentPlugin,
    data: {
      keylime_agent_host: '127.0.0.1',
      keylime_agent_port: String(agentPort),
      keylime_agent_use_tls: true,
      keylime_agent_ca_cert: join(agentDir, 'server-cert.crt'),
      keylime_agent_client_cert: client.certFile,
      keylime_agent_client_key: client.keyFile,
    },
  }
}

function changed(plugin: PluginSpec, { only, ...change }: PluginChange = {}): PluginSpec {
  const kept = Object.entries(plugin.data).filter(([key]) => only === undefined || only.includes(key))
  const data: ConfObject = { ...Object.fromEntries(kept), ...change.data }
  return { ...plugin, ...change, data }
}
