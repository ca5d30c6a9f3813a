/**
 * A real spire-agent with our plugin, and a workload beside it.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tryCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import type { ConfObject } from './hcl-text.ts'
import { pluginBlock, type SpirePlace, SpireProgram } from './spire-program.ts'

/** One agent. */
export interface SpireAgentOptions extends SpirePlace {
  readonly serverPort: number
  /** PEM of the server's CA. */
  readonly bundleFile: string
  /** How often it asks the server; default "5s", as SPIRE's. */
  readonly syncInterval?: string
  /** Default 127.0.0.1. */
  readonly serverAddress?: string
  /** Where its keys are: a KeyManager's block under its name; default: in memory. */
  readonly keyManager?: ConfObject
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
export class SpireAgent extends SpireProgram {
  private constructor(processes: ProcessStarter, options: SpireAgentOptions) {
    super(processes, options, { program: 'spire-agent', socket: 'workload.sock', conf: 'agent.conf' })
  }

  /** Writes agent.conf; `start` starts it. */
  static async configure(processes: ProcessStarter, options: SpireAgentOptions): Promise<SpireAgent> {
    const agent = new SpireAgent(processes, options)
    await agent.writeConf(await agent.#conf(options))
    return agent
  }

  /** Starts the process without waiting for attestation: `healthy` does. */
  start(): RigProcess {
    return this.begin()
  }

  /** Waits for the process to end by itself. */
  async waitForExit(deadlineMs = 30_000): Promise<void> {
    const process = this.process()
    const ended = (): boolean => process.exit() !== undefined && process.members().length === 0
    await pollUntil(`${this.name} to end`, ended, { deadlineMs, logFile: process.logFile })
  }

  /** Fetches SVIDs as a workload of this user does. */
  async fetchX509(): Promise<readonly FetchedSvid[]> {
    const into = await mkdtemp(join(this.dir, 'svid-'))
    try {
      const args = ['api', 'fetch', 'x509', '-socketPath', this.socketPath, '-timeout', '3s', '-write', into]
      const { code, stdout, stderr } = await tryCommand(this.program, args, { timeoutMs: 15_000 })
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

  /** Waits until a workload of this user is given this SVID. */
  waitForSvid(spiffeId: string, deadlineMs = 30_000): Promise<FetchedSvid> {
    const look = async (): Promise<FetchedSvid | undefined> =>
      (await this.fetchX509()).find((svid) => svid.spiffeId === spiffeId)
    return pollUntil(`the workload's SVID ${spiffeId}`, look, {
      deadlineMs,
      intervalMs: 250,
      logFile: this.process().logFile,
    })
  }

  /** Forgets the agent's SVID, so that the next start attests anew. */
  async forget(): Promise<void> {
    await rm(this.dataDir, { recursive: true, force: true })
    await mkdir(this.dataDir, { mode: 0o700 })
  }

  async #conf(options: SpireAgentOptions): Promise<ConfObject> {
    return {
      agent: {
        server_address: options.serverAddress ?? '127.0.0.1',
        server_port: options.serverPort,
        socket_path: this.socketPath,
        trust_domain: options.trustDomain,
        trust_bundle_path: options.bundleFile,
        data_dir: this.dataDir,
        log_level: 'DEBUG',
        ...(options.syncInterval === undefined ? {} : { experimental: { sync_interval: options.syncInterval } }),
        ...options.more,
      },
      plugins: {
        'NodeAttestor "keylime"': await pluginBlock(options.plugin),
        ...(options.keyManager ?? { 'KeyManager "memory"': { plugin_data: {} } }),
        'WorkloadAttestor "unix"': { plugin_data: {} },
      },
    }
  }
}
