/**
 * The plugin's process seen through its three pipes.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type Handshake, type MagicCookie, parseHandshake } from '../serve/handshake.ts'
import type { HostKeys } from './host-keys.ts'
import { type HostLogEntry, newHostLogParser } from './host-log.ts'

/** How to start a plugin. */
export interface LaunchOptions {
  /** Program file. */
  readonly command: string
  readonly args?: readonly string[]
  /** Variables added to this process's own environment; `undefined` removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cookie: MagicCookie
  /** Versions offered to the plugin; default `[1]`, as SPIRE. */
  readonly protocolVersions?: readonly number[]
  /** How long the plugin may take to its handshake line; default 60,000, as in Go. */
  readonly startTimeoutMs?: number
  /** Makes both sides show one-time certificates; default false, as SPIRE. */
  readonly autoMtls?: boolean
  /** Carries every connection over one socket; default false, as SPIRE. */
  readonly multiplex?: boolean
  /** Whether to read the plugin's captured output, as hosts do; default true. */
  readonly readStdio?: boolean
}

/** How a process ended. */
export interface ExitStatus {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** What a plugin says on its pipes. */
export interface PluginOutput {
  readonly logs: readonly HostLogEntry[]
  readonly stdout: () => string
  readonly stderr: () => string
  readonly stdoutRest: () => string
  /** Resolves to the first line of stdout, or `undefined` when stdout ends without one. */
  readonly firstLine: Promise<string | undefined>
  readonly exited: Promise<ExitStatus>
  /** Whether the process ended before anybody here killed it. */
  readonly endedByItself: () => boolean
}

const MIN_PORT = '10000'
const MAX_PORT = '25000'

/**
 * Starts the process with a host's environment.
 *
 * @param options What to start.
 * @param keys The host's certificate, with AutoMTLS.
 * @returns The process, its stdin the null device.
 */
export function spawnPlugin(options: LaunchOptions, keys: HostKeys | undefined): ChildProcess {
  const env: Record<string, string | undefined> = {
    ...process.env,
    ...options.env,
    [options.cookie.key]: options.cookie.value,
    PLUGIN_MIN_PORT: options.env?.['PLUGIN_MIN_PORT'] ?? MIN_PORT,
    PLUGIN_MAX_PORT: options.env?.['PLUGIN_MAX_PORT'] ?? MAX_PORT,
    PLUGIN_PROTOCOL_VERSIONS: (options.protocolVersions ?? [1]).join(','),
  }
  if (keys !== undefined) env['PLUGIN_CLIENT_CERT'] = keys.cert.toString()
  if (options.multiplex === true) env['PLUGIN_MULTIPLEX_GRPC'] = 'true'
  return spawn(options.command, options.args ?? [], { env, stdio: ['ignore', 'pipe', 'pipe'] })
}

/**
 * Reads both pipes until they end.
 *
 * @param child A process just started by `spawnPlugin`.
 * @returns What it says, growing.
 */
export function watchOutput(child: ChildProcess): PluginOutput {
  const logs: HostLogEntry[] = []
  const parse = newHostLogParser()
  const stdout = collect(child.stdout)
  if (child.stderr !== null) {
    createInterface({ input: child.stderr, crlfDelay: Infinity }).on('line', (line) => logs.push(parse(line)))
  }
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: null, signal: null }))
  })
  return {
    logs,
    stdout,
    stderr: () => logs.map((entry) => `${entry.raw}\n`).join(''),
    stdoutRest: () => stdout().slice(stdout().indexOf('\n') + 1),
    firstLine: firstLine(child, stdout),
    exited,
    endedByItself: () => !child.killed,
  }
}

function collect(stream: Readable | null): () => string {
  const chunks: Buffer[] = []
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  return () => Buffer.concat(chunks).toString()
}

function firstLine(child: ChildProcess, stdout: () => string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const end = stdout().indexOf('\n')
      if (end < 0) return
      child.stdout?.removeListener('data', look)
      resolve(stdout().slice(0, end))
    }
    child.stdout?.on('data', look)
    child.stdout?.once('end', () => resolve(undefined))
    child.once('error', reject)
  })
}

/**
 * Waits for the handshake and checks it as a host does.
 *
 * @param output Pipes of the process.
 * @param timeoutMs How long to wait.
 * @param versions Protocol versions the host knows.
 * @returns The line and what it says.
 * @throws {Error} The plugin exited, was too slow, printed something else, or speaks another version.
 */
export async function readHandshake(
  output: PluginOutput,
  timeoutMs: number,
  versions: readonly number[],
): Promise<{ readonly line: string; readonly handshake: Handshake }> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('timeout while waiting for plugin to start')), timeoutMs)
  })
  try {
    const line = await Promise.race([output.firstLine, late])
    if (line === undefined) {
      await output.exited
      throw new Error('plugin exited before we could connect')
    }
    const handshake = parseHandshake(line)
    if (!versions.includes(handshake.appVersion)) {
      const known = `[${versions.join(' ')}]`
      throw new Error(
        `incompatible API version with plugin. Plugin version: ${handshake.appVersion}, Client versions: ${known}`,
      )
    }
    return { line, handshake }
  } finally {
    clearTimeout(timer)
  }
}
