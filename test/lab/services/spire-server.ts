/**
 * A real spire-server with our plugin, and what an operator asks it.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CommandResult, runCommand, tryCommand } from '../processes/commands.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import { isServing } from './grpc-health.ts'
import { type ConfObject, renderHcl, renderJson } from './hcl-text.ts'

/** How SPIRE shall start a plugin. */
export interface PluginSpec {
  /** Absolute path of the executable. */
  readonly command: string
  readonly data: ConfObject
  /** `true` (default): the file's SHA-256; `false`: none; text: taken as it is. */
  readonly checksum?: boolean | string
  /** Puts `data` into a file of its own, which SPIRE reads again on SIGUSR1. */
  readonly dataFile?: { readonly path: string; readonly format: 'hcl' | 'json' }
}

/** One server. */
export interface SpireServerOptions {
  /** Private folder; made when missing. */
  readonly dir: string
  readonly binDir: string
  /** Of the process and its log file; default "spire-server". */
  readonly name?: string
  readonly port: number
  readonly trustDomain: string
  readonly plugin: PluginSpec
  /** Life of an agent's SVID; it re-attests at half of it. Default "1h". */
  readonly agentTtl?: string
  readonly svidTtl?: string
  /** Syntax of server.conf. */
  readonly format?: 'hcl' | 'json'
  /** Default 127.0.0.1. */
  readonly bindAddress?: string
  /** More keys of the `server` block. */
  readonly more?: ConfObject
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
export interface SpireServer {
  readonly socketPath: string
  readonly confFile: string
  readonly port: number
  /** Its TMPDIR, and so its plugins': the sockets of go-plugin lie here. */
  readonly tmpDir: string
  start(): Promise<void>
  /** SIGTERM to the server alone, as an init system's or an operator's kill does. */
  stop(): Promise<void>
  process(): RigProcess
  /** Waits for a line of this start's log. */
  waitForLog(pattern: RegExp, deadlineMs?: number): Promise<string>
  /** Runs `spire-server <words> -socketPath ...`. */
  cli(...args: readonly string[]): Promise<CommandResult>
  agentShow(spiffeId: string): Promise<ShownAgent | undefined>
  /** The same as an operator sees it. */
  agentShowText(spiffeId: string): Promise<string>
  agentList(): Promise<readonly ShownAgent[]>
  evict(spiffeId: string): Promise<void>
  ban(spiffeId: string): Promise<void>
  createEntry(entry: EntrySpec): Promise<void>
  /** Writes the trust bundle, PEM. */
  writeBundle(file: string): Promise<void>
}

/**
 * Writes server.conf and makes the handle; `start` starts it.
 *
 * @param processes Where its process is kept.
 * @param options Folder, programs, plugin.
 * @returns The server, not yet started.
 */
export async function newSpireServer(processes: ProcessStarter, options: SpireServerOptions): Promise<SpireServer> {
  const { dir } = options
  const tmpDir = join(dir, 'tmp')
  for (const folder of [join(dir, 'data'), tmpDir]) await mkdir(folder, { recursive: true, mode: 0o700 })
  const socketPath = join(dir, 'api.sock')
  const format = options.format ?? 'hcl'
  const confFile = join(dir, `server.${format === 'hcl' ? 'conf' : 'json'}`)
  const conf = await serverConf(options, socketPath)
  await writeFile(confFile, format === 'hcl' ? renderHcl(conf) : renderJson(conf), { mode: 0o600 })
  const program = join(options.binDir, 'spire-server')
  let running: RigProcess | undefined

  const cli = (...args: readonly string[]): Promise<CommandResult> =>
    tryCommand(program, [...args, '-socketPath', socketPath], { timeoutMs: 20_000 })
  const must = (...args: readonly string[]): Promise<string> =>
    runCommand(program, [...args, '-socketPath', socketPath], { timeoutMs: 20_000 })
  return {
    socketPath,
    confFile,
    port: options.port,
    tmpDir,
    cli,
    async start() {
      const started = processes.start({
        name: options.name ?? 'spire-server',
        env: { TMPDIR: tmpDir },
        command: program,
        args: ['run', '-config', confFile],
        leaderOnly: true,
      })
      running = started
      await pollUntil('spire-server to be healthy', () => isServing(socketPath), {
        deadlineMs: 30_000,
        logFile: started.logFile,
        abort: () => started.requireRunning(),
      })
    },
    stop: async () => void (await running?.stop()),
    process: () => requireStarted(running),
    waitForLog: (pattern, deadlineMs = 30_000) =>
      pollUntil(`spire-server to log ${pattern}`, () => pattern.exec(requireStarted(running).readLog())?.[0], {
        deadlineMs,
        intervalMs: 50,
        logFile: requireStarted(running).logFile,
      }),
    async agentShow(spiffeId) {
      const { code, stdout } = await cli('agent', 'show', '-spiffeID', spiffeId, '-output', 'json')
      return code === 0 ? (JSON.parse(stdout) as ShownAgent) : undefined
    },
    agentShowText: (spiffeId) => must('agent', 'show', '-spiffeID', spiffeId),
    agentList: async () =>
      (JSON.parse(await must('agent', 'list', '-output', 'json')) as { agents: ShownAgent[] }).agents,
    evict: async (spiffeId) => void (await must('agent', 'evict', '-spiffeID', spiffeId)),
    ban: async (spiffeId) => void (await must('agent', 'ban', '-spiffeID', spiffeId)),
    createEntry: async (entry) => void (await must('entry', 'create', ...entryArgs(entry))),
    writeBundle: async (file) => writeFile(file, await must('bundle', 'show'), { mode: 0o600 }),
  }
}

/**
 * Makes the plugin block's content.
 *
 * @param plugin Executable, data, checksum.
 * @returns Keys of `NodeAttestor "keylime" { ... }`.
 */
export async function pluginBlock(plugin: PluginSpec): Promise<ConfObject> {
  const block: Record<string, string | ConfObject> = { plugin_cmd: plugin.command }
  const checksum = plugin.checksum ?? true
  if (checksum === true) block.plugin_checksum = createHash('sha256').update(readFileSync(plugin.command)).digest('hex')
  else if (checksum !== false) block.plugin_checksum = checksum
  if (plugin.dataFile === undefined) return { ...block, plugin_data: plugin.data }
  const { path, format } = plugin.dataFile
  await writeFile(path, format === 'hcl' ? renderHcl(plugin.data) : renderJson(plugin.data), { mode: 0o600 })
  return { ...block, plugin_data_file: path }
}

async function serverConf(options: SpireServerOptions, socketPath: string): Promise<ConfObject> {
  const dataDir = join(options.dir, 'data')
  return {
    server: {
      bind_address: options.bindAddress ?? '127.0.0.1',
      bind_port: options.port,
      socket_path: socketPath,
      trust_domain: options.trustDomain,
      data_dir: dataDir,
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
      'DataStore "sql"': {
        plugin_data: { database_type: 'sqlite3', connection_string: join(dataDir, 'datastore.sqlite3') },
      },
      // On disk, so that a server that is started again keeps its CA and its agents.
      'KeyManager "disk"': { plugin_data: { keys_path: join(dataDir, 'keys.json') } },
      'NodeAttestor "keylime"': await pluginBlock(options.plugin),
    },
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

function requireStarted(running: RigProcess | undefined): RigProcess {
  if (running === undefined) throw new Error('spire-server was never started')
  return running
}
