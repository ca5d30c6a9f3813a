/**
 * Short commands that run to their end: output collected, a deadline, an error that says what the command said.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { RigError } from './errors.ts'
import { cleanEnv } from './processes.ts'

/** How to run it. */
export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Passes on this process's whole environment: package tools need their proxies and mirrors. Default false. */
  readonly inheritEnv?: boolean
  readonly cwd?: string
  /** Milliseconds; default 60,000. */
  readonly timeoutMs?: number
  /** Called with each line of either stream as it appears. */
  readonly onLine?: (line: string) => void
}

/** What a command said. */
export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<number>()
// Whoever exits in the middle of a build ends the build.
process.once('exit', () => {
  for (const pid of running) {
    try {
      process.kill(-pid, 'SIGTERM')
    } catch {
      // It has just ended by itself.
    }
  }
})

/**
 * Runs a command, whatever its exit code.
 *
 * @param args Its arguments; no shell reads them.
 * @returns Exit code (`null` after a signal) and both streams.
 * @throws {RigError} It cannot be started, or the deadline passed.
 */
export function tryCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.inheritEnv === true ? { ...process.env, ...options.env } : cleanEnv(options.env),
      // A session of its own, so that Ctrl-C reaches the rig, which then ends things in its order.
      detached: true,
      timeout: options.timeoutMs ?? 60_000,
      killSignal: 'SIGKILL',
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    if (child.pid !== undefined) running.add(child.pid)
    const out: Buffer[] = []
    const err: Buffer[] = []
    const notify = newLineSplitter(options.onLine)
    child.stdout.on('data', (chunk: Buffer) => {
      out.push(chunk)
      notify(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      err.push(chunk)
      notify(chunk)
    })
    child.once('error', (cause) => reject(new RigError(`cannot run ${command}: ${cause.message}`, { cause })))
    child.once('close', (code, signal) => {
      if (child.pid !== undefined) running.delete(child.pid)
      const result = { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }
      if (signal === 'SIGKILL') {
        reject(new RigError(`${command} ${args[0] ?? ''} did not end within ${options.timeoutMs ?? 60_000} ms`))
      } else resolve(result)
    })
  })
}

/**
 * Runs a command that must succeed.
 *
 * @throws {RigError} It does not start, does not end, or ends with another code than 0: the message ends with its last
 *   line on standard error.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(command, args, options)
  if (code === 0) return stdout
  const said = (stderr.trim() || stdout.trim()).split('\n').at(-1) || 'it said nothing'
  throw new RigError(`${command} ${args.slice(0, 3).join(' ')} ended with code ${code}: ${said}`)
}

function newLineSplitter(onLine: ((line: string) => void) | undefined): (chunk: Buffer) => void {
  let rest = ''
  return (chunk) => {
    if (onLine === undefined) return
    const lines = (rest + chunk.toString()).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
}
