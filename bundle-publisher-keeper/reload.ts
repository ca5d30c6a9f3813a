/**
 * The one command that makes others read the files.
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const MAX_OUTPUT_CHARS = 200

/**
 * Runs the command, without a shell and without the variables of SPIRE.
 *
 * @param command Program and arguments.
 * @param timeoutMs After which it is killed.
 * @throws {Error} It cannot be started, fails, or takes too long; with the end of what it printed.
 */
export async function runReload(command: readonly string[], timeoutMs: number): Promise<void> {
  const [program = '', ...args] = command
  try {
    const env = { PATH: process.env['PATH'], LANG: 'C' }
    await promisify(execFile)(program, args, { timeout: timeoutMs, killSignal: 'SIGKILL', env })
  } catch (error) {
    throw new Error(`${program} ${explained(error, timeoutMs)}`, { cause: error })
  }
}

function explained(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error)
  const {
    killed,
    code,
    signal,
    stderr = '',
  } = error as Error & {
    readonly killed?: boolean
    readonly code?: number | string
    readonly signal?: string
    readonly stderr?: string
  }
  if (killed === true) return `did not end within ${timeoutMs} ms`
  if (typeof code === 'string') return `cannot be started (${code})`
  const said = stderr.trim().slice(-MAX_OUTPUT_CHARS)
  return `ended with ${code ?? signal ?? 'an error'}${said === '' ? '' : `: ${said}`}`
}
