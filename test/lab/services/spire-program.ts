/**
 * What a SPIRE server and a SPIRE agent have in common: a process that is started more than once, and its log.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isServing, SpireConnection } from '@tower-of-omens/spire-api'
import { RigError } from '../processes/errors.ts'
import { pollUntil } from '../processes/poll.ts'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
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

/** Where a SPIRE program runs. */
export interface SpirePlace {
  /** Private folder; made when missing. */
  readonly dir: string
  readonly binDir: string
  /** Of the process and its log file; default the program's. */
  readonly name?: string
  readonly trustDomain: string
  readonly plugin: PluginSpec
}

/** One SPIRE server or agent, running or stopped. */
export abstract class SpireProgram {
  readonly socketPath: string
  readonly confFile: string
  /** Its TMPDIR, and so its plugins': the sockets of go-plugin lie here. */
  readonly tmpDir: string
  readonly name: string
  protected readonly dir: string
  protected readonly dataDir: string
  protected readonly program: string
  readonly #processes: ProcessStarter
  #running: RigProcess | undefined

  protected constructor(
    processes: ProcessStarter,
    { dir, binDir, name }: SpirePlace,
    files: { readonly program: string; readonly socket: string; readonly conf: string },
  ) {
    this.#processes = processes
    this.dir = dir
    this.dataDir = join(dir, 'data')
    this.tmpDir = join(dir, 'tmp')
    this.socketPath = join(dir, files.socket)
    this.confFile = join(dir, files.conf)
    this.program = join(binDir, files.program)
    this.name = name ?? files.program
  }

  /** SIGTERM to SPIRE alone, as an init system's or an operator's kill does. */
  async stop(): Promise<void> {
    await this.#running?.stop()
  }

  /** Gives the present process. */
  process(): RigProcess {
    if (this.#running === undefined) throw new RigError(`${this.name} was never started`)
    return this.#running
  }

  /** Reads what this start has logged so far. */
  readLog(): string {
    return this.process().readLog()
  }

  /** Waits for a line of this start's log. */
  waitForLog(pattern: RegExp, deadlineMs = 30_000): Promise<string> {
    return pollUntil(`${this.name} to log ${pattern}`, () => pattern.exec(this.readLog())?.[0], {
      deadlineMs,
      intervalMs: 50,
      logFile: this.process().logFile,
    })
  }

  /** Waits until it serves its socket's health as SERVING. */
  async healthy(deadlineMs = 60_000): Promise<void> {
    const connection = new SpireConnection({ socketPath: this.socketPath, timeoutMs: 1_000 })
    try {
      await pollUntil(`${this.name} to be healthy`, () => isServing(connection), {
        deadlineMs,
        logFile: this.process().logFile,
        abort: () => this.process().requireRunning(),
      })
    } finally {
      connection.close()
    }
  }

  protected begin(): RigProcess {
    this.#running = this.#processes.start({
      name: this.name,
      command: this.program,
      args: ['run', '-config', this.confFile],
      env: { TMPDIR: this.tmpDir },
      told: 'leader',
    })
    return this.#running
  }

  protected async writeConf(conf: ConfObject, format: 'hcl' | 'json' = 'hcl'): Promise<void> {
    for (const folder of [this.dataDir, this.tmpDir]) await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFile(this.confFile, renderAs(conf, format), { mode: 0o600 })
  }
}

/**
 * Makes the plugin block's content, and writes the file that it names.
 *
 * @returns Keys of `NodeAttestor "keylime" { ... }`.
 */
export async function pluginBlock(plugin: PluginSpec): Promise<ConfObject> {
  const block: Record<string, string | ConfObject> = { plugin_cmd: plugin.command }
  const checksum = plugin.checksum ?? true
  if (checksum === true) block.plugin_checksum = createHash('sha256').update(readFileSync(plugin.command)).digest('hex')
  else if (checksum !== false) block.plugin_checksum = checksum
  if (plugin.dataFile === undefined) return { ...block, plugin_data: plugin.data }
  const { path, format } = plugin.dataFile
  await writeFile(path, renderAs(plugin.data, format), { mode: 0o600 })
  return { ...block, plugin_data_file: path }
}

function renderAs(conf: ConfObject, format: 'hcl' | 'json'): string {
  return format === 'hcl' ? renderHcl(conf) : renderJson(conf)
}
