/**
 * The services SPIRE offers its plugins, as a test wants them: what is measured is kept, what is asked is answered from data.
 *
 * @module
 */
import type { GoPluginService } from '@tower-of-omens/go-plugin'
import { serveUnary } from '@tower-of-omens/go-plugin'
import { MetricsService } from '../gen/spire/hostservice/common/metrics/v1/metrics.ts'
import {
  AgentStoreService,
  type GetAgentInfoRequest,
} from '../gen/spire/hostservice/server/agentstore/v1/agentstore.ts'
import { IdentityProviderService } from '../gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts'
import type { X509Identity } from '../host-services/host-identity-provider.ts'
import type { MetricLabels } from '../host-services/host-metrics.ts'
import { asBuffer } from '../runtime/plugin-service.ts'
import { RpcError, STATUS_CODES } from '../wire/rpc-error.ts'
import { HOST_SERVICES } from './spire-host.ts'

/** What the plugin is to find at its host. */
export interface FakeHostOptions {
  /** Which of the two programs the host is; an agent offers metrics alone. Default `server`. */
  readonly side?: 'server' | 'agent'
  /** SPIFFE IDs of the agents the server knows. */
  readonly agents?: readonly string[]
  /** Identity of the server; without it the host answers as one that still loads its plugins. */
  readonly identity?: X509Identity
}

/** One measurement of the plugin. */
export interface Measurement {
  readonly kind: 'gauge' | 'key' | 'counter' | 'sample' | 'since'
  /** Parts of the name, joined by dots. */
  readonly name: string
  /** What was measured; for `since` the moment, in Unix milliseconds. */
  readonly value: number
  readonly labels: MetricLabels
}

/** A host for tests. */
export interface FakeHost {
  /** Full names that SPIRE would announce. */
  readonly names: readonly string[]
  /** What to serve under the broker id of SPIRE's host services. */
  readonly services: readonly GoPluginService[]
  /** Everything measured so far, in order. */
  readonly measurements: readonly Measurement[]
}

/**
 * Makes a host.
 *
 * @param options See `FakeHostOptions`.
 * @returns The host.
 */
export function fakeHost(options: FakeHostOptions = {}): FakeHost {
  const { side = 'server', agents = [], identity } = options
  const measurements: Measurement[] = []
  const services = [metrics(measurements)]
  if (side === 'server') services.push(agentStore(agents), identityProvider(identity))
  return { names: HOST_SERVICES[side], services, measurements }
}

interface Measured {
  readonly key: string[]
  readonly val: number
  readonly labels?: { readonly name: string; readonly value: string }[]
}

function metrics(measurements: Measurement[]): GoPluginService {
  const keep = (kind: Measurement['kind'], { key, val, labels = [] }: Measured): object => {
    const named = Object.fromEntries(labels.map(({ name, value }) => [name, value]))
    measurements.push({ kind, name: key.join('.'), value: val, labels: named })
    return {}
  }
  const implementation = {
    setGauge: answering((measured: Measured) => keep('gauge', measured)),
    emitKey: answering((measured: Measured) => keep('key', measured)),
    incrCounter: answering((measured: Measured) => keep('counter', measured)),
    addSample: answering((measured: Measured) => keep('sample', measured)),
    measureSince: answering(({ time, ...rest }: Omit<Measured, 'val'> & { time: bigint }) =>
      keep('since', { ...rest, val: Number(time / 1_000_000n) }),
    ),
  }
  return { definition: MetricsService, implementation }
}

function agentStore(agents: readonly string[]): GoPluginService {
  const getAgentInfo = answering(({ agentId }: GetAgentInfoRequest) => {
    if (!agents.includes(agentId)) throw new RpcError('NOT_FOUND', 'no such node')
    return { info: { agentId } }
  })
  return { definition: AgentStoreService, implementation: { getAgentInfo } }
}

function identityProvider(identity: X509Identity | undefined): GoPluginService {
  const fetchX509Identity = answering(() => {
    if (identity === undefined) throw new RpcError('FAILED_PRECONDITION', 'IdentityProvider has not been set')
    const { certChain, privateKey, bundle } = identity
    return { identity: { certChain: certChain.map(asBuffer), privateKey: asBuffer(privateKey) }, bundle }
  })
  return { definition: IdentityProviderService, implementation: { fetchX509Identity } }
}

function answering<Request, Response>(
  answer: (request: Request) => Response,
): ReturnType<typeof serveUnary<Request, Response>> {
  return serveUnary<Request, Response>(answer, (error) =>
    error instanceof RpcError
      ? { code: STATUS_CODES[error.status], details: error.message }
      : { code: STATUS_CODES.INTERNAL, details: `the fake host failed: ${String(error)}` },
  )
}
