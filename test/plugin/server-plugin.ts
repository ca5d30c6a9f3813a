// The server half as its own process, started as SPIRE starts it, for tests that only see what SPIRE sees.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ServiceError, status } from '@grpc/grpc-js'
import type { GoPluginService } from '../../plugins/go-plugin/grpc/guarded-service.ts'
import { MetricsService } from '../../plugins/spire-sdk/gen/spire/hostservice/common/metrics/v1/metrics.ts'
import {
  AgentStoreService,
  type GetAgentInfoRequest,
} from '../../plugins/spire-sdk/gen/spire/hostservice/server/agentstore/v1/agentstore.ts'
import type { AgentAttributes } from '../../plugins/spire-sdk/gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import {
  attestOnce,
  configure,
  HOST_SERVICES,
  type HostLogEntry,
  initPlugin,
  launchPlugin,
  type PluginProcess,
  type Validation,
  validate,
} from '../../plugins/spire-sdk/testing/index.ts'
import type { FakeNode } from '../fakes/fake-node.ts'
import type { QuoteKnobs } from '../fakes/software-tpm.ts'

/** Trust domain of every test. */
export const TRUST_DOMAIN = 'example.org'

/** Is what SPIRE gets from one attestation: attributes, or a status with its message. */
export interface Outcome {
  readonly status: keyof typeof status
  readonly message: string
  readonly attributes?: AgentAttributes
}

/** Says how a node behaves in one attestation; what is absent is right. */
export interface Behaviour {
  readonly payload?: Uint8Array
  /** What is wrong with its quote. */
  readonly knobs?: QuoteKnobs
  /** Answers the challenge instead of the node. */
  readonly answer?: (challenge: Uint8Array) => Uint8Array | Promise<Uint8Array>
  readonly signal?: AbortSignal
}

/** Is one metric as the plugin sent it to its host. */
export interface MetricCall {
  readonly method: string
  readonly key: string
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
}

/** Is a running server half. */
export interface ServerPlugin extends AsyncDisposable {
  readonly process: PluginProcess
  readonly metrics: readonly MetricCall[]
  configure(hcl: string, trustDomain?: string): Promise<Outcome>
  validate(hcl: string): Promise<Validation>
  attest(node: FakeNode, behaviour?: Behaviour): Promise<Outcome>
  /** Log lines of a level, as the host would show them. */
  logs(level?: HostLogEntry['level']): readonly HostLogEntry[]
  stop(): Promise<void>
}

/**
 * Starts the server half: `$TOWER_DIST/keylime-attestor-server` if that is set, else from its sources.
 * @param options `hcl`: configures it at once. `metrics`: whether the host offers the Metrics service. `agents`: SPIFFE
 *   IDs that the host's AgentStore service knows; without it there is none. `before`: words before the command, such as
 *   those of a shell.
 */
export async function startServerPlugin(
  options: {
    readonly hcl?: string
    readonly metrics?: boolean
    readonly agents?: ReadonlySet<string>
    readonly before?: readonly string[]
  } = {},
): Promise<ServerPlugin> {
  const { command, args } = executable('keylime-attestor-server', 'server-attestor/main.ts')
  const [program = command, ...rest] = [...(options.before ?? []), command, ...args]
  const launched = await launchPlugin({
    command: program,
    args: rest,
    cookie: { key: 'NodeAttestor', value: 'NodeAttestor' },
  })
  const metrics: MetricCall[] = []
  const [, agentStoreName, metricsName] = HOST_SERVICES.server
  const offered = [
    ...(options.metrics === true ? [{ name: metricsName, service: metricsService(metrics) }] : []),
    ...(options.agents === undefined ? [] : [{ name: agentStoreName, service: agentStoreService(options.agents) }]),
  ]
  await launched.serveHostServices(
    1,
    offered.map(({ service }) => service),
  )
  await initPlugin(
    launched,
    offered.map(({ name }) => name),
  )
  const stop = async (): Promise<void> => {
    await launched.shutdown()
  }
  const plugin: ServerPlugin = {
    process: launched,
    metrics,
    configure: (hcl, trustDomain = TRUST_DOMAIN) => outcomeOf(configure(launched, { trustDomain, hcl })),
    validate: (hcl) => validate(launched, { trustDomain: TRUST_DOMAIN, hcl }),
    attest: (node, behaviour = {}) => {
      const { payload = node.payload(), knobs, answer = (bytes) => node.respond(bytes, knobs), signal } = behaviour
      return outcomeOf(attestOnce(launched, { payload, answer, ...(signal !== undefined && { signal }) }))
    },
    logs: (level) => launched.logs.filter((line) => level === undefined || line.level === level),
    stop,
    [Symbol.asyncDispose]: stop,
  }
  if (options.hcl === undefined) return plugin
  const configured = await plugin.configure(options.hcl)
  if (configured.status === 'OK') return plugin
  await stop()
  throw new Error(`not configured: ${configured.status} ${configured.message}`)
}

/**
 * Finds how to start a half: the built file under `$TOWER_DIST`, else Node with its source. With `$TOWER_NODE`, a Node.js
 * of another version, it is the built `.cjs` file that runs, under that.
 */
export function executable(
  built: string,
  source: string,
): { readonly command: string; readonly args: readonly string[] } {
  const dist = process.env['TOWER_DIST']
  if (dist === undefined) {
    return { command: process.execPath, args: [fileURLToPath(new URL(`../../${source}`, import.meta.url))] }
  }
  const other = process.env['TOWER_NODE']
  if (other !== undefined) return { command: other, args: [resolve(dist, `${built}.cjs`)] }
  const command = resolve(dist, built)
  if (!existsSync(command)) throw new Error(`TOWER_DIST is set, but ${command} is missing`)
  return { command, args: [] }
}

/** Turns a call into what SPIRE gets: attributes, or a status with its message. */
export async function outcomeOf(call: Promise<AgentAttributes | void>): Promise<Outcome> {
  try {
    const attributes = await call
    return { status: 'OK', message: '', ...(attributes !== undefined && { attributes }) }
  } catch (error) {
    const { code, details } = error as ServiceError
    if (typeof code !== 'number') throw error
    return { status: status[code] as Outcome['status'], message: details }
  }
}

interface MetricRequest {
  readonly key: readonly string[]
  readonly val?: number
  readonly labels?: readonly { readonly name: string; readonly value: string }[]
}

function metricsService(calls: MetricCall[]): GoPluginService {
  const take =
    (method: string) =>
    ({ request }: { readonly request: MetricRequest }, done: (error: null, response: object) => void): void => {
      const labels = Object.fromEntries((request.labels ?? []).map(({ name, value }) => [name, value]))
      calls.push({ method, key: request.key.join('.'), value: request.val ?? 0, labels })
      done(null, {})
    }
  const methods = ['setGauge', 'emitKey', 'incrCounter', 'addSample', 'measureSince']
  return {
    definition: MetricsService,
    implementation: Object.fromEntries(methods.map((method) => [method, take(method)])),
  }
}

function agentStoreService(agents: ReadonlySet<string>): GoPluginService {
  const getAgentInfo = (
    { request }: { readonly request: GetAgentInfoRequest },
    done: (error: Partial<ServiceError> | null, response?: object) => void,
  ): void => {
    const { agentId } = request
    if (agents.has(agentId)) done(null, { info: { agentId } })
    else done({ code: status.NOT_FOUND, details: 'no such node' })
  }
  return { definition: AgentStoreService, implementation: { getAgentInfo } }
}
