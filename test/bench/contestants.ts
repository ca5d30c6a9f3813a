/**
 * Whose plugins are measured: ours, and the Go pair when `GO_PLUGIN_DIR` names its folder.
 *
 * @module
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js'
import { MetricsService } from '../../plugins/spire-sdk/gen/spire/hostservice/common/metrics/v1/metrics.ts'
import {
  configure,
  HOST_SERVICES,
  initPlugin,
  launchPlugin,
  type PluginProcess,
} from '../../plugins/spire-sdk/testing/index.ts'

/** Which half of a pair. */
export type Half = 'server' | 'agent'

/** Name of a side. */
export type Side = 'ours' | 'go'

/** A program and its arguments. */
export interface Program {
  readonly command: string
  readonly args: readonly string[]
}

/** One pair of plugins. */
export interface Contestant {
  readonly side: Side
  /** For the report: what exactly runs. */
  readonly form: string
  readonly programs: Readonly<Record<Half, Program>>
}

const ROOT = join(import.meta.dirname, '..', '..')
const COOKIE = { key: 'NodeAttestor', value: 'NodeAttestor' }
/** Broker id under which SPIRE serves its host services. */
const HOST_SERVICES_ID = 1
/** The trust domain every measured plugin is configured with. */
export const TRUST_DOMAIN = 'bench.test'

/**
 * Finds the pairs to measure.
 *
 * @param dist Folder of our executables; where they are not built, the sources run in their place.
 * @param staged Folder to copy executables to: the pages of a file just built are mapped in larger pieces, which
 *   makes its resident set look 30 MB larger than that of an installed one.
 * @returns Ours first, then the Go pair if `GO_PLUGIN_DIR` is set.
 * @throws {Error} `GO_PLUGIN_DIR` does not hold both executables.
 */
export function findContestants(dist: string, staged: string): Contestant[] {
  const isBuilt = existsSync(join(dist, 'keylime-attestor-server')) && existsSync(join(dist, 'keylime-attestor-agent'))
  const ours: Contestant = isBuilt
    ? { side: 'ours', form: 'single executables', programs: staging(dist, join(staged, 'ours')) }
    : { side: 'ours', form: 'sources, unbuilt', programs: { server: source('server'), agent: source('agent') } }
  const folder = process.env['GO_PLUGIN_DIR'] ?? ''
  if (folder === '') return [ours]
  for (const { command } of Object.values(programsIn(folder))) {
    if (!existsSync(command)) throw new Error(`GO_PLUGIN_DIR: ${command} does not exist`)
  }
  return [ours, { side: 'go', form: 'Go pair', programs: staging(folder, join(staged, 'go')) }]
}

function staging(from: string, to: string): Record<Half, Program> {
  mkdirSync(to, { recursive: true })
  for (const half of ['server', 'agent']) {
    const name = `keylime-attestor-${half}`
    copyFileSync(join(from, name), join(to, name))
  }
  return programsIn(to)
}

function programsIn(folder: string): Record<Half, Program> {
  const program = (half: Half): Program => ({ command: join(folder, `keylime-attestor-${half}`), args: [] })
  return { server: program('server'), agent: program('agent') }
}

function source(half: Half): Program {
  return { command: process.execPath, args: [join(ROOT, `${half}-attestor`, 'main.ts')] }
}

/** Starts one half, without telling it anything. */
export function startHalf(contestant: Contestant, half: Half): Promise<PluginProcess> {
  return launchPlugin({ ...contestant.programs[half], cookie: COOKIE })
}

/**
 * Does what SPIRE does before the first attestation: host services, Init and Configure.
 *
 * @param plugin From `startHalf`.
 * @param hcl Its `plugin_data`.
 */
export async function prepareHalf(plugin: PluginProcess, half: Half, hcl: string): Promise<void> {
  await plugin.serveHostServices(HOST_SERVICES_ID, [{ definition: MetricsService, implementation: swallowMetrics() }])
  await initPlugin(plugin, HOST_SERVICES[half])
  await configure(plugin, { trustDomain: TRUST_DOMAIN, hcl })
}

/** Takes every metric and does nothing with it, as a SPIRE without telemetry. */
function swallowMetrics(): UntypedServiceImplementation {
  return Object.fromEntries(Object.keys(MetricsService).map((method) => [method, answerEmpty]))
}

function answerEmpty(_call: unknown, done: sendUnaryData<object>): void {
  done(null, {})
}
