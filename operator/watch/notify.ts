/**
 * Telling others: a program of the operator's, and systemd.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Log } from '@tower-of-omens/keylime'

/** Longest run of the operator's program. */
const NOTIFY_MS = 30_000

/**
 * Starts the operator's program; nobody waits for it.
 *
 * @param command Program and words; empty: nobody is told.
 * @param facts What happened, as `TOWERKEEP_...` variables.
 * @param log Told when the program fails.
 */
export function notifyOperator(
  command: readonly string[],
  facts: Readonly<Record<string, string>>,
  log: Pick<Log, 'warn'>,
): void {
  const [program, ...words] = command
  if (program === undefined) return
  const env: Record<string, string | undefined> = { PATH: process.env['PATH'] }
  for (const [name, value] of Object.entries(facts)) env[`TOWERKEEP_${name.toUpperCase()}`] = value
  const child = started(program, words, env, log)
  if (child === undefined) return
  child.on('error', (error) => log.warn('notify_command cannot be started', { command: program, error: error.message }))
  child.on('exit', (code) => {
    if (code !== 0) log.warn('notify_command failed', { command: program, exit: code ?? 'killed' })
  })
}

// Most failures come as an event; some, such as a path that leads through a file, are thrown.
function started(
  program: string,
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  log: Pick<Log, 'warn'>,
): ChildProcess | undefined {
  try {
    return spawn(program, words, { stdio: 'ignore', timeout: NOTIFY_MS, env })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    log.warn('notify_command cannot be started', { command: program, error: why })
    return undefined
  }
}

/**
 * Tells systemd how the daemon is. Node has no datagram sockets of that kind, so systemd's own program carries it.
 *
 * @param state Such as `READY=1`.
 * @param environment Where systemd says that it listens.
 */
export function notifySystemd(
  state: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): void {
  if (environment['NOTIFY_SOCKET'] === undefined) return
  const { PATH, NOTIFY_SOCKET } = environment
  const child = spawn('systemd-notify', [`--pid=${process.pid}`, state], {
    stdio: 'ignore',
    timeout: 5_000,
    env: { PATH, NOTIFY_SOCKET },
  })
  child.on('error', () => undefined)
}

/**
 * Reads how often systemd wants to hear from us.
 *
 * @param environment Where it says so.
 * @returns Milliseconds, half of its limit; undefined when it does not watch.
 */
export function watchdogMs(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): number | undefined {
  const micros = Number(environment['WATCHDOG_USEC'])
  return Number.isFinite(micros) && micros > 0 ? Math.max(1_000, micros / 2_000) : undefined
}
