/** Starts the trial plugin and asks it to do things. @module */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import {
  type LaunchOptions,
  launchPlugin,
  type PluginProcess,
  unary,
} from '../../../plugins/spire-sdk/testing/index.ts'
import { TrialClient, type TrialRequest, type TrialResponse } from './trial-service.ts'

/** Cookie of the trial plugin. */
export const TRIAL_COOKIE = { key: 'SomePlugin', value: 'SomePlugin' }

/** File of the trial plugin. */
export const TRIAL_FILE = new URL('./trial-plugin.ts', import.meta.url).pathname

/** Makes a folder for sockets, removed when the test ends. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'trial-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Starts a trial plugin that is shut down when its scope ends, should the test have left it running. */
export async function launchTrial(options: Partial<LaunchOptions> = {}): Promise<PluginProcess & AsyncDisposable> {
  const launch = { command: process.execPath, args: [TRIAL_FILE], cookie: TRIAL_COOKIE, ...options }
  const plugin = await launchPlugin(launch)
  const dispose = async (): Promise<void> => {
    // Not by force: a killed plugin leaves its socket behind.
    if (isAlive(plugin.pid)) await plugin.shutdown()
  }
  return { ...plugin, [Symbol.asyncDispose]: dispose }
}

/** Has the plugin do one thing. */
export function run(plugin: PluginProcess, request: TrialRequest): Promise<TrialResponse> {
  return unary((done) => plugin.client(TrialClient).run(request, { deadline: Date.now() + 30_000 }, done))
}

/**
 * Waits until something holds.
 *
 * @param holds Looked at every 10 ms.
 * @param what For the error when it never does.
 */
export async function until(holds: () => boolean | Promise<boolean>, what: string, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/**
 * Tells whether a process exists.
 *
 * @returns False when it has ended, also as a zombie.
 */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
  } catch {
    return false
  }
}
