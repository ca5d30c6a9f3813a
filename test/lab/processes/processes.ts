/**
 * The processes of one rig: each in a session of its own with a log file, all of them ended together, in reverse order.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RigError } from './errors.ts'
import type { KeeperMessage } from './keeper.ts'
import { endGroup, type GroupRecord, membersOf, RIG_VARIABLE, startTimeOf, type Told } from './process-group.ts'

/** What to start. */
export interface ProcessSpec {
  readonly name: string
  readonly command: string
  readonly args?: readonly string[]
  /** Added to the few variables every process gets. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Who gets SIGTERM; default: all of its group. */
  readonly told?: Told
  /** Files outside the rig's folder that a process of this pid leaves behind when it is killed. */
  readonly leftovers?: (pid: number) => readonly string[]
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One running (or ended) process of the rig. */
export interface RigProcess {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  readonly exited: Promise<ProcessExit>
  /** How it ended, or `undefined` while it runs. */
  exit(): ProcessExit | undefined
  /** Living members of its process group, itself included. */
  members(): readonly number[]
  /** Everything it has written since this start. */
  readLog(): string
  /** Throws a RigError when it has ended: for use while waiting for it to be ready. */
  requireRunning(): void
  /** Signals the leader alone. */
  kill(signal: NodeJS.Signals): void
  /** Ends the whole group; resolves with how the leader ended. */
  stop(graceMs?: number): Promise<ProcessExit>
}

/** Starts processes: on this host, or, wrapped, on another one's network. */
export type ProcessStarter = Pick<Processes, 'start'>

const PASSED_ON = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'TZ', 'USER']

/** Picks the environment every process of the rig gets: no NODE_OPTIONS, no proxies, nothing of the test runner's. */
export function cleanEnv(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const env: Record<string, string> = {}
  for (const name of PASSED_ON) {
    const value = process.env[name]
    if (value !== undefined) env[name] = value
  }
  return { ...env, ...extra }
}

/** Starts and ends the processes of one rig. */
export class Processes {
  readonly #workDir: string
  /** Folder of the log files. */
  readonly logDir: string
  readonly #keeper: ChildProcess
  readonly #started: { readonly group: GroupRecord; readonly process: RigProcess }[] = []

  /**
   * @param workDir Folder to remove when everything has ended.
   * @param logDir Folder for the log files; stays.
   */
  constructor(workDir: string, logDir: string) {
    this.#workDir = workDir
    this.logDir = logDir
    const keeperFile = fileURLToPath(new URL('./keeper.ts', import.meta.url))
    const log = openSync(join(logDir, 'keeper.log'), 'a', 0o600)
    this.#keeper = spawn(process.execPath, [keeperFile], {
      detached: true,
      stdio: ['pipe', log, log],
      env: cleanEnv(),
    })
    closeSync(log)
    this.#keeper.unref()
    // A keeper that died is only a lost safety net: the rig still ends its processes itself.
    this.#keeper.stdin?.on('error', () => {})
    this.#tell({ op: 'folder', path: workDir })
  }

  /**
   * Starts a process in a session of its own; its output goes to `<log folder>/<name>.log`.
   *
   * @returns The process, not yet known to be ready.
   * @throws {RigError} The command cannot be started.
   */
  start(spec: ProcessSpec): RigProcess {
    const logFile = join(this.logDir, `${spec.name}.log`)
    const log = openSync(logFile, 'a', 0o600)
    const offset = readFileSync(logFile).length
    const child = spawn(spec.command, [...(spec.args ?? [])], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...cleanEnv(spec.env), [RIG_VARIABLE]: this.#workDir },
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    })
    closeSync(log)
    const exited = exitOf(child)
    if (child.pid === undefined) {
      throw new RigError(`cannot start ${spec.name}: ${spec.command} does not run`, { logFile })
    }
    const group: GroupRecord = {
      name: spec.name,
      pid: child.pid,
      startTime: startTimeOf(child.pid) ?? '',
      told: spec.told ?? 'all',
      leftovers: spec.leftovers?.(child.pid) ?? [],
    }
    this.#tell({ op: 'add', group })
    const process = this.#wrap(spec.name, logFile, offset, child, exited, group)
    this.#started.push({ group, process })
    return process
  }

  /** Lists what runs, for the state file of a rig that is kept. */
  groups(): readonly GroupRecord[] {
    return this.#started.filter(({ group }) => membersOf(group.pid).length > 0).map(({ group }) => group)
  }

  /** Ends everything, last started first. The work folder is then the caller's to remove. */
  async stopAll(): Promise<void> {
    for (const { process } of this.#started.toReversed()) await process.stop()
    this.keep()
  }

  /**
   * Has a command run when this process is gone without having ended its work.
   *
   * @param command Program and arguments; runs after the processes have ended.
   */
  afterwards(command: readonly [string, ...string[]]): void {
    this.#tell({ op: 'afterwards', command })
  }

  /** Lets everything run on after this process has ended. */
  keep(): void {
    this.#tell({ op: 'keep' })
    this.#keeper.stdin?.end()
  }

  #wrap(
    name: string,
    logFile: string,
    offset: number,
    child: ChildProcess,
    exited: Promise<ProcessExit>,
    group: GroupRecord,
  ): RigProcess {
    let ended: ProcessExit | undefined
    void exited.then((exit) => (ended = exit))
    const readLog = (): string => readFileSync(logFile).subarray(offset).toString()
    return {
      name,
      pid: group.pid,
      logFile,
      exited,
      exit: () => ended,
      members: () => membersOf(group.pid),
      readLog,
      requireRunning: () => {
        if (ended !== undefined)
          throw new RigError(`${name} ${describeExit(ended)}: ${lastLine(readLog())}`, { logFile })
      },
      kill: (signal) => void child.kill(signal),
      stop: async (graceMs) => {
        await endGroup(group, graceMs)
        this.#tell({ op: 'remove', pid: group.pid })
        return exited
      },
    }
  }

  #tell(message: KeeperMessage): void {
    const pipe = this.#keeper.stdin
    if (pipe?.writable) pipe.write(`${JSON.stringify(message)}\n`)
  }
}

function exitOf(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null }))
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
}

/**
 * Words how a process ended.
 *
 * @returns For instance "ended with code 1".
 */
export function describeExit(exit: ProcessExit): string {
  if (exit.signal !== null) return `was ended by ${exit.signal}`
  return exit.code === null ? 'could not be started' : `ended with code ${exit.code}`
}

function lastLine(log: string): string {
  return log.trimEnd().split('\n').at(-1) || 'it wrote nothing'
}
