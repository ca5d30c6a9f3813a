// The server half as its own process, started as SPIRE starts it, for tests that only see what SPIRE sees.
import { type ServiceError, status } from '@grpc/grpc-js'
import type { GoPluginService } from '../../plugins/go-plugin/grpc/guarded-service.ts'
import { MetricsService } from '../../plugins/spire-sdk/gen/spire/hostservice/common/metrics/v1/metrics.ts'
import {
  AgentStoreService,
  type GetAgentInfoRequest,
} from '../../plugins/spire-sdk/gen/spire/hostservice/server/agentstore/v1/agentstore.ts'
import {
  attestOnce,
  HOST_SERVICES,
  type HostLogEntry,
  type PluginProcess,
} from '../../plugins/spire-sdk/testing/index.ts'
import type { FakeNode } from '../fakes/fake-node.ts'
import type { QuoteKnobs } from '../fakes/software-tpm.ts'
import { HalfProcess, launchHalf, type Outcome, outcomeOf } from './half-process.ts'

/** Says how a node behaves in one attestation; what is absent is right. */
export interface Behaviour {
  readonly payload?: Uint8Array
  /** What is wrong with its quote. */
  readonly knobs?: QuoteKnobs
  /** Answers the challenge instead of the node. */
  readonly answer?: (challenge: Uint8Array) => Uint8Array | Promise<Uint8Array>
  readonly signal?: AbortSignal
  /** Address that SPIRE names as the caller's. */
  readonly from?: string
}

/** One metric as the plugin sent it to its host. */
export interface MetricCall {
  readonly method: string
  readonly key: string
  readonly value: number
  readonly labels: Readonly<Record<string, string>>
}

/** A running server half. */
export class ServerPlugin extends HalfProcess {
  readonly metrics: readonly MetricCall[]

  private constructor(process: PluginProcess, metrics: readonly MetricCall[]) {
    super(process)
    this.metrics = metrics
  }

  /**
   * Starts it.
   *
   * @param options `hcl`: configures it at once. `metrics`: whether the host offers the Metrics service. `agents`: SPIFFE
   *   IDs that the host's AgentStore service knows; without it there is none. `before`: words before the command.
   */
  static async start(
    options: {
      readonly hcl?: string
      readonly metrics?: boolean
      readonly agents?: ReadonlySet<string>
      readonly before?: readonly string[]
    } = {},
  ): Promise<ServerPlugin> {
    const metrics: MetricCall[] = []
    const [, agentStoreName, metricsName] = HOST_SERVICES.server
    const services = [
      ...(options.metrics === true ? [{ name: metricsName, service: metricsService(metrics) }] : []),
      ...(options.agents === undefined ? [] : [{ name: agentStoreName, service: agentStoreService(options.agents) }]),
    ]
    const launched = await launchHalf('server', { services, before: options.before })
    return new ServerPlugin(launched, metrics).configuredWith(options.hcl)
  }

  attest(node: FakeNode, behaviour: Behaviour = {}): Promise<Outcome> {
    const { payload = node.payload(), knobs, answer = (bytes) => node.respond(bytes, knobs), signal, from } = behaviour
    const metadata = from === undefined ? {} : { 'x-forwarded-client-ip': from }
    return outcomeOf(attestOnce(this.process, { payload, answer, metadata, ...(signal !== undefined && { signal }) }))
  }

  /** Log lines of a level, as the host would show them. */
  logs(level?: HostLogEntry['level']): readonly HostLogEntry[] {
    return this.process.logs.filter((line) => level === undefined || line.level === level)
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
