/**
 * A real spire-agent with our plugin, and a workload beside it.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tryCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import { isServing } from './grpc-health.ts'
import { type ConfObject, renderHcl } from './hcl-text.ts'
import { type PluginSpec, pluginBlock } from './spire-server.ts'

/** One agent. */
export interface SpireAgentOptions {
  /** Private folder; made when missing. */
  readonly dir: string
  readonly binDir: string
  readonly name?: string
  readonly serverPort: number
  readonly trustDomain: string
  /** PEM of the server's CA. */
  readonly bundleFile: string
  readonly plugin: PluginSpec
  /** How often it asks the server; default "5s", as SPIRE's. */
  readonly syncInterval?: string
  /** Default 127.0.0.1. */
  readonly serverAddress?: string
  /** More keys of the `agent` block. */
  readonly more?: ConfObject
}

/** A workload's X509-SVID, as it came from the Workload API. */
export interface FetchedSvid {
  readonly spiffeId: string
  readonly certificate: X509Certificate
  /** PEM of the trust bundle. */
  readonly bundle: string
}

/** The agent, running or stopped. */
export interface SpireAgent {
  readonly socketPath: string
  readonly confFile: string
  /** Its TMPDIR, and so its plugin's: the sockets of go-plugin lie here. */
  readonly tmpDir: string
  /** Starts the process without waiting for attestation. */
  start(): RigProcess
  /** Waits until it is attested and serves workloads. */
  healthy(deadlineMs?: number): Promise<void>
  stop(): Promise<void>
  process(): RigProcess
  /** What this start's log says so far. */
  readLog(): string
  /** Waits for a line of this start's log. */
  waitForLog(pattern: RegExp, deadlineMs?: number): Promise<string>
  /** Waits for the process to end by itself. */
  waitForExit(deadlineMs?: number): Promise<void>
  /** Fetches SVIDs as a workload of this user does. */
  fetchX509(): Promise<readonly FetchedSvid[]>
  /** Waits until a workload of this user is given this SVID. */
  waitForSvid(spiffeId: string, deadlineMs?: number): Promise<FetchedSvid>
  /** Forgets the agent's SVID, so that the next start attests anew. */
  forget(): Promise<void>
}

/**
 * Writes agent.conf and makes the handle; `start` starts it.
 *
 * @param processes Where its process is kept.
 * @param options Folder, programs, plugin.
 * @returns The agent, not yet started.
 */
export async function newSpireAgent(processes: ProcessStarter, options: SpireAgentOptions): Promise<SpireAgent> {
  const { dir } = options
  const dataDir = join(dir, 'data')
  const tmpDir = join(dir, 'tmp')
  for (const folder of [dataDir, tmpDir]) await mkdir(folder, { recursive: true, mode: 0o700 })
  const socketPath = join(dir, 'workload.sock')
  const confFile = join(dir, 'agent.conf')
  await writeFile(confFile, renderHcl(await agentConf(options, dataDir, socketPath)), { mode: 0o600 })
  const program = join(options.binDir, 'spire-agent')
  const name = options.name ?? 'spire-agent'
  let running: RigProcess | undefined
  const process = (): RigProcess => {
    if (running === undefined) throw new RigError(`${name} was never started`)
    return running
  }
  return {
    socketPath,
    confFile,
    tmpDir,
    process,
    start() {
      const args = ['run', '-config', confFile]
      running = processes.start({ name, command: program, args, env: { TMPDIR: tmpDir }, leaderOnly: true })
      return running
    },
    healthy: async (deadlineMs = 60_000) =>
      void (await pollUntil(`${name} to be attested`, () => isServing(socketPath), {
        deadlineMs,
        logFile: process().logFile,
        abort: () => process().requireRunning(),
      })),
    stop: async () => void (await running?.stop()),
    readLog: () => process().readLog(),
    waitForLog: (pattern, deadlineMs = 30_000) =>
      pollUntil(`${name} to log ${pattern}`, () => pattern.exec(process().readLog())?.[0], {
        deadlineMs,
        intervalMs: 50,
        logFile: process().logFile,
      }),
    waitForExit: async (deadlineMs = 30_000) =>
      void (await pollUntil(
        `${name} to end`,
        () => process().exit() !== undefined && process().members().length === 0,
        {
          deadlineMs,
          logFile: process().logFile,
        },
      )),
    fetchX509: () => fetchX509(program, socketPath, dir),
    waitForSvid: (spiffeId, deadlineMs = 30_000) =>
      pollUntil(
        `the workload's SVID ${spiffeId}`,
        async () => (await fetchX509(program, socketPath, dir)).find((svid) => svid.spiffeId === spiffeId),
        { deadlineMs, intervalMs: 250, logFile: process().logFile },
      ),
    async forget() {
      await rm(dataDir, { recursive: true, force: true })
      await mkdir(dataDir, { mode: 0o700 })
    },
  }
}

async function agentConf(options: SpireAgentOptions, dataDir: string, socketPath: string): Promise<ConfObject> {
  return {
    agent: {
      server_address: options.serverAddress ?? '127.0.0.1',
      server_port: options.serverPort,
      socket_path: socketPath,
      trust_domain: options.trustDomain,
      trust_bundle_path: options.bundleFile,
      data_dir: dataDir,
      log_level: 'DEBUG',
      ...(options.syncInterval === undefined ? {} : { experimental: { sync_interval: options.syncInterval } }),
      ...options.more,
    },
    plugins: {
      'NodeAttestor "keylime"': await pluginBlock(options.plugin),
      'KeyManager "memory"': { plugin_data: {} },
      'WorkloadAttestor "unix"': { plugin_data: {} },
    },
  }
}

async function fetchX509(program: string, socketPath: string, dir: string): Promise<readonly FetchedSvid[]> {
  const into = await mkdtemp(join(dir, 'svid-'))
  try {
    const args = ['api', 'fetch', 'x509', '-socketPath', socketPath, '-timeout', '3s', '-write', into]
    const { code, stdout, stderr } = await tryCommand(program, args, { timeoutMs: 15_000 })
    if (code !== 0) throw new RigError(`the workload got no SVID: ${(stderr || stdout).trim().split('\n').at(-1)}`)
    const ids = [...stdout.matchAll(/^SPIFFE ID:\s+(\S+)/gm)].map((match) => match[1] ?? '')
    return await Promise.all(
      ids.map(async (spiffeId, index) => ({
        spiffeId,
        certificate: new X509Certificate(await readFile(join(into, `svid.${index}.pem`))),
        bundle: await readFile(join(into, `bundle.${index}.pem`), 'utf8'),
      })),
    )
  } finally {
    await rm(into, { recursive: true, force: true })
  }
}
