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
import { agentData, type ServiceAddress, serverData, tpmData } from '../services/plugin-data.ts'
import { SpireAgent } from '../services/spire-agent.ts'
import type { PluginSpec } from '../services/spire-program.ts'
import { SpireServer, type SpireServerOptions } from '../services/spire-server.ts'

/** The trust domain of every rig. */
export const TRUST_DOMAIN = 'tower.example'

/** What differs in a plugin's block: `data` is merged key by key, after all keys but `only` have been dropped. */
export interface PluginChange extends Partial<PluginSpec> {
  readonly only?: readonly string[]
}

/** What differs in a server: of its configuration, and of its plugin's block. */
export interface ServerChange
  extends Pick<Partial<SpireServerOptions>, 'agentTtl' | 'svidTtl' | 'format' | 'more' | 'blocks'> {
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

/** What surrounds them. */
export interface MakerOptions {
  readonly dir: string
  readonly parts: Parts
  readonly keylime: Keylime
  /** The plugin's client certificate at the Keylime agent. */
  readonly client: { readonly certFile: string; readonly keyFile: string }
  /** PEM of the Keylime agent's own certificate. */
  readonly agentCa: string
  readonly agentPort: number
  /** TPM and key file, where the agent half quotes by itself. */
  readonly tpm?: { readonly path: string; readonly keyFile: string }
}

/** Makes servers and agents, not yet started. */
export class SpireMaker {
  readonly #processes: Processes
  readonly #options: MakerOptions

  /**
   */
  constructor(processes: Processes, options: MakerOptions) {
    this.#processes = processes
    this.#options = options
  }

  /** Configures a server. */
  async newServer({ name, plugin, ...change }: ServerChange = {}): Promise<SpireServer> {
    const { keylime, parts } = this.#options
    const file = (short: string): string => join(keylime.certDir, short)
    const files = { ca: file('cacert.crt'), cert: file('client-cert.crt'), key: file('client-private.pem') }
    const data = serverData([here(keylime.ports.verifier)], [here(keylime.ports.registrarTls)], files)
    return SpireServer.configure(this.#processes, {
      ...change,
      ...this.#place('spire-server', name),
      port: await freePorts(),
      plugin: changed({ command: parts.serverPlugin, data }, plugin),
    })
  }

  /** Configures an agent of a running server. */
  async newAgent(server: SpireServer, { name, plugin, ...change }: AgentChange = {}): Promise<SpireAgent> {
    const { parts, client, agentCa, agentPort, tpm } = this.#options
    const place = this.#place('spire-agent', name)
    const bundleFile = `${place.dir}-bundle.pem`
    await server.writeBundle(bundleFile)
    const data =
      tpm === undefined
        ? agentData(agentPort, { ca: agentCa, cert: client.certFile, key: client.keyFile })
        : tpmData(tpm.path, tpm.keyFile)
    return SpireAgent.configure(this.#processes, {
      ...change,
      ...place,
      serverPort: server.port,
      bundleFile,
      plugin: changed({ command: parts.agentPlugin, data }, plugin),
    })
  }

  #place(
    base: string,
    suffix: string | undefined,
  ): { readonly name: string; readonly dir: string; readonly binDir: string; readonly trustDomain: string } {
    const name = suffix === undefined ? base : `${base}-${suffix}`
    const { dir, parts } = this.#options
    return { name, dir: join(dir, name), binDir: parts.spireBin, trustDomain: TRUST_DOMAIN }
  }
}

function here(port: number): ServiceAddress {
  return { host: '127.0.0.1', port }
}

function changed(plugin: PluginSpec, { only, ...change }: PluginChange = {}): PluginSpec {
  const kept = Object.entries(plugin.data).filter(([key]) => only === undefined || only.includes(key))
  const data: ConfObject = { ...Object.fromEntries(kept), ...change.data }
  return { ...plugin, ...change, data }
}
