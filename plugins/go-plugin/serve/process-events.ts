/**
 * What may happen to a plugin's process from outside and inside: signals, its host's death, stray errors.
 *
 * @module
 */
import { channel } from 'node:diagnostics_channel'
import type { HclogLogger } from '../log/hclog.ts'

/**
 * Signals that mean the host, or nothing: a program in Go lives through them, and Node.js would die, stop or open its
 * debugger.
 *
 * Ctrl-C (SIGINT) is the host's to handle. SIGHUP tells of a terminal that went away; a host under `nohup` lives on, and
 * Node.js has by now forgotten that it was started with the signal ignored. Without `nohup` the host ends, and we with
 * it. SPIRE reloads its configuration on SIGUSR1 and reopens its log on SIGUSR2. The rest, timers and limits that the
 * host or a service manager set, do nothing in Go.
 *
 * @see Go 1.25, runtime/sigtab_linux_generic.go
 */
const HOST_SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGVTALRM',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGIO',
  'SIGPWR',
] as const

/** Makes the signals harmless that a host takes, or a program in Go ignores. */
export function ignoreHostSignals(): void {
  for (const signal of HOST_SIGNALS) process.on(signal, () => undefined)
}

/**
 * Calls back some time after SIGTERM.
 *
 * A service manager sends SIGTERM to the host and its plugins at the same moment; a plugin that dies at once fails
 * the host's orderly shutdown.
 *
 * @param graceMs How long the host may take to shut the plugin down itself.
 * @param log Told when the signal comes.
 * @param onExpired Called when the grace is over.
 */
export function onTerminate(graceMs: number, log: HclogLogger, onExpired: () => void): void {
  process.once('SIGTERM', () => {
    // Later ones change nothing: the process ends when the grace does.
    process.on('SIGTERM', () => undefined)
    log.info('Terminating unless the host shuts the plugin down first', { grace_seconds: graceMs / 1000 })
    setTimeout(onExpired, graceMs)
  })
}

/** How to look for the parent. */
export interface ParentWatch {
  /** Time between two looks; default 500. */
  readonly intervalMs?: number
  /** Gives the parent's process id; default that of this process. */
  readonly ppid?: () => number
}

/**
 * Watches the host: on systems and hosts without a death signal an orphan would stay for ever.
 *
 * @param onDeath Called once, when the process has got another parent.
 * @param watch How to look.
 * @returns Function that ends the watch.
 */
export function watchParent(onDeath: () => void, watch: ParentWatch = {}): () => void {
  const ppid = watch.ppid ?? ((): number => process.ppid)
  const parent = ppid()
  const timer = setInterval(() => {
    if (ppid() === parent) return
    clearInterval(timer)
    onDeath()
  }, watch.intervalMs ?? 500)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * Logs errors that nobody caught and lets the process live: SPIRE never restarts a plugin, so that one bad request
 * must not end it. Node's own report would reach the host as raw lines at debug level.
 *
 * @param log Takes one line for each.
 */
export function logStrayErrors(log: HclogLogger): void {
  process.on('uncaughtException', (error) => log.error('Uncaught exception', errorFields(error)))
  process.on('unhandledRejection', (reason) => log.error('Unhandled promise rejection', errorFields(reason)))
  process.removeAllListeners('warning')
  process.on('warning', (warning) => log.warn('Node.js warning', { name: warning.name, warning: warning.message }))
}

function errorFields(error: unknown): Readonly<Record<string, unknown>> {
  return error instanceof Error ? { error, stack: error.stack } : { error }
}

/**
 * Remembers child processes, so that none outlives the plugin: one that inherited stderr would keep the host waiting
 * for the end of it, for ever.
 *
 * @returns Function that kills the children that still run.
 */
export function trackChildren(): () => void {
  const children = new Set<ChildHandle>()
  channel('child_process').subscribe((message) => {
    if (!isSpawnMessage(message)) return
    const child = message.process
    children.add(child)
    child.once('exit', () => children.delete(child))
  })
  return () => {
    for (const child of children) child.kill('SIGKILL')
  }
}

interface ChildHandle {
  kill(signal: 'SIGKILL'): boolean
  once(event: 'exit', listener: () => void): unknown
}

function isSpawnMessage(message: unknown): message is { readonly process: ChildHandle } {
  return typeof message === 'object' && message !== null && 'process' in message
}
