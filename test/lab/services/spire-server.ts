/**
 * A real spire-server with our plugin, and what an operator asks it.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CommandResult, runCommand, tryCommand } from '../processes/commands.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter } from '../processes/processes.ts'
import type { ConfObject } from './hcl-text.ts'
import { pluginBlock, type SpirePlace, SpireProgram } from './spire-program.ts'

/** One server. */
export interface SpireServerOptions extends SpirePlace {
  readonly port: number
  /** Life of an agent's SVID; it re-attests at half of it. Default "1h". */
  readonly agentTtl?: string
  readonly svidTtl?: string
  /** Syntax of server.conf. */
  readonly format?: 'hcl' | 'json'
  /** Default 127.0.0.1. */
  readonly bindAddress?: string
  /** More keys of the `server` block. */
  readonly more?: ConfObject
  /** Plugins beside ours. */
  readonly morePlugins?: ConfObject
  /** Blocks beside `server` and `plugins`. */
  readonly blocks?: ConfObject
  /** `plugin_data` of the SQL datastore; default: SQLite in the data folder. */
  readonly datastore?: ConfObject
}

/** An attested agent as `spire-server agent show -output json` gives it. */
export interface ShownAgent {
  readonly id: { readonly trust_domain: string; readonly path: string }
  readonly attestation_type: string
  readonly x509svid_serial_number: string
  readonly x509svid_expires_at: string
  readonly selectors: readonly { readonly type: string; readonly value: string }[]
  readonly can_reattest: boolean
  readonly banned: boolean
}

/** A registration entry to create: either for workloads below a parent, or `node`: an alias for nodes. */
export interface EntrySpec {
  readonly spiffeId: string
  readonly selectors: readonly string[]
  readonly parentId?: string
  readonly node?: boolean
  /** Seconds. */
  readonly x509SvidTtl?: number
  /** Names that clients without SPIFFE check. */
  readonly dnsNames?: readonly string[]
}

/** The server, running or stopped. */
export class SpireServer extends SpireProgram {
  readonly port: number

  private constructor(processes: ProcessStarter, options: SpireServerOptions) {
    const conf = `server.${(options.format ?? 'hcl') === 'hcl' ? 'conf' : 'json'}`
    super(processes, options, { program: 'spire-server', socket: 'api.sock', conf })
    this.port = options.port
  }

  /** Writes server.conf; `start` starts it. */
  static async configure(processes: ProcessStarter, options: SpireServerOptions): Promise<SpireServer> {
    const server = new SpireServer(processes, options)
    await server.writeConf(await server.#conf(options), options.format)
    return server
  }

  /** Starts it and waits until it is healthy. */
  async start(): Promise<void> {
    this.begin()
    await this.healthy(30_000)
  }

  /** Runs `spire-server <words> -socketPath ...`. */
  cli(...args: readonly string[]): Promise<CommandResult> {
    return tryCommand(this.program, [...args, '-socketPath', this.socketPath], { timeoutMs: 20_000 })
  }

  /** Has SPIRE check its configuration, plugins included, without running. */
  validate(): Promise<CommandResult> {
    const env = { TMPDIR: this.tmpDir }
    return tryCommand(this.program, ['validate', '-config', this.confFile], { timeoutMs: 30_000, env })
  }

  /** Reads one attested agent; `undefined` when there is none of this ID. */
  async agentShow(spiffeId: string): Promise<ShownAgent | undefined> {
    const { code, stdout } = await this.cli('agent', 'show', '-spiffeID', spiffeId, '-output', 'json')
    return code === 0 ? (JSON.parse(stdout) as ShownAgent) : undefined
  }

  /** Reads the same as an operator sees it. */
  agentShowText(spiffeId: string): Promise<string> {
    return this.#must('agent', 'show', '-spiffeID', spiffeId)
  }

  /** Lists the attested agents. */
  async agentList(): Promise<readonly ShownAgent[]> {
    return (JSON.parse(await this.#must('agent', 'list', '-output', 'json')) as { agents: ShownAgent[] }).agents
  }

  /** Evicts an agent, which may attest again; one that is on its way back is waited for. */
  async evict(spiffeId: string): Promise<void> {
    await this.#known(spiffeId)
    await this.#must('agent', 'evict', '-spiffeID', spiffeId)
  }

  /** Bans an agent, which may not; one that is on its way back is waited for. */
  async ban(spiffeId: string): Promise<void> {
    await this.#known(spiffeId)
    await this.#must('agent', 'ban', '-spiffeID', spiffeId)
  }

  // A SPIRE agent that was turned away tries again after up to a minute.
  async #known(spiffeId: string): Promise<void> {
    await pollUntil(`${spiffeId} to be attested`, () => this.agentShow(spiffeId), { deadlineMs: 70_000 })
  }

  /** Creates a registration entry. */
  async createEntry(entry: EntrySpec): Promise<void> {
    await this.#must('entry', 'create', ...entryArgs(entry))
  }

  /** Deletes every entry of a SPIFFE ID. */
  async deleteEntries(spiffeId: string): Promise<void> {
    const shown = await this.#must('entry', 'show', '-spiffeID', spiffeId, '-output', 'json')
    const { entries } = JSON.parse(shown) as { readonly entries: readonly { readonly id: string }[] }
    for (const { id } of entries) await this.#must('entry', 'delete', '-entryID', id)
  }

  /** Writes the trust bundle, PEM. */
  async writeBundle(file: string): Promise<void> {
    await writeFile(file, await this.#must('bundle', 'show'), { mode: 0o600 })
  }

  #must(...args: readonly string[]): Promise<string> {
    return runCommand(this.program, [...args, '-socketPath', this.socketPath], { timeoutMs: 20_000 })
  }

  async #conf(options: SpireServerOptions): Promise<ConfObject> {
    const sqlite = { database_type: 'sqlite3', connection_string: join(this.dataDir, 'datastore.sqlite3') }
    return {
      server: {
        bind_address: options.bindAddress ?? '127.0.0.1',
        bind_port: options.port,
        socket_path: this.socketPath,
        trust_domain: options.trustDomain,
        data_dir: this.dataDir,
        log_level: 'DEBUG',
        ca_ttl: '24h',
        agent_ttl: options.agentTtl ?? '1h',
        default_x509_svid_ttl: options.svidTtl ?? '5m',
        // All agents of a rig share 127.0.0.1, and one attestation a second for each address would be the limit.
        ratelimit: { attestation: false },
        experimental: { cache_reload_interval: '500ms' },
        ...options.more,
      },
      plugins: {
        'DataStore "sql"': { plugin_data: options.datastore ?? sqlite },
        // On disk, so that a server that is started again keeps its CA and its agents.
        'KeyManager "disk"': { plugin_data: { keys_path: join(this.dataDir, 'keys.json') } },
        'NodeAttestor "keylime"': await pluginBlock(options.plugin),
        ...options.morePlugins,
      },
      ...options.blocks,
    }
  }
}

function entryArgs(entry: EntrySpec): readonly string[] {
  const args = ['-spiffeID', entry.spiffeId]
  if (entry.node === true) args.push('-node')
  if (entry.parentId !== undefined) args.push('-parentID', entry.parentId)
  if (entry.x509SvidTtl !== undefined) args.push('-x509SVIDTTL', String(entry.x509SvidTtl))
  for (const name of entry.dnsNames ?? []) args.push('-dns', name)
  return [...args, ...entry.selectors.flatMap((selector) => ['-selector', selector])]
}
