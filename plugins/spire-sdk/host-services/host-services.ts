/**
 * The services SPIRE offers its plugins, dialled when they are first used.
 *
 * @see spiffe/spire-plugin-sdk 13afea2, private/consts.go (broker id 1)
 * @module
 */

import type { Broker } from '@tower-of-omens/go-plugin'
import type { MetricsClient } from '../gen/spire/hostservice/common/metrics/v1/metrics.ts'
import { RpcError, statusName } from '../wire/rpc-error.ts'
import type { AgentStore } from './host-agent-store.ts'
import { HOST_CALL_TIMEOUT_MS, type HostCall, type HostCallOptions, type HostMethod } from './host-call.ts'
import type { IdentityProvider } from './host-identity-provider.ts'
import type { Metrics } from './host-metrics.ts'

/** Broker id on which SPIRE serves everything it offers. */
export const HOST_SERVICES_ID = 1
/**
 * The host's services. None of them is dialled before it is called.
 *
 * SPIRE Server's agent store and identity provider answer only after every plugin is configured: never call them
 * while building a configuration.
 */
export interface HostServices {
  /** Full names the host announced in `Init`. Empty before that. */
  readonly names: readonly string[]
  /**
   * Offers telemetry through the host's sinks, on server and agent.
   *
   * @throws {RpcError} `FAILED_PRECONDITION`: the host does not offer it.
   */
  metrics(): Promise<Metrics>
  /**
   * Offers the attested agents, on the server.
   *
   * @throws {RpcError} `FAILED_PRECONDITION`: the host does not offer it.
   */
  agentStore(): Promise<AgentStore>
  /**
   * Offers the server's own X509-SVID, on the server.
   *
   * @throws {RpcError} `FAILED_PRECONDITION`: the host does not offer it.
   */
  identityProvider(): Promise<IdentityProvider>
  /**
   * Calls any other service of the host.
   *
   * @throws {RpcError} `FAILED_PRECONDITION`: the host does not offer the service. Otherwise the host's own status.
   */
  readonly call: HostCall
}

/** {@link HostServices} before the host has said what it offers. */
export interface AnnouncedHostServices extends HostServices {
  /** Keeps the names from `Init`. */
  announce(names: readonly string[]): void
  /** Ends the connection to the host, if there is one. Later calls dial anew. */
  close(): Promise<void>
}

/**
 * Makes the host's services from the broker.
 *
 * @param broker The plugin's broker; dialled at the first call.
 * @returns Services, none of them dialled.
 */
export function newHostServices(broker: Broker): AnnouncedHostServices {
  let names: readonly string[] = []
  let dialled: Promise<MetricsClient> | undefined
  const call: HostCall = async (method, request, options = {}) => {
    requireOffered(names, method.path.slice(1, method.path.lastIndexOf('/')))
    dialled ??= dial(broker)
    const dialling = dialled
    try {
      return await invoke(await dialling, method, request, options)
    } catch (error) {
      // A dial that failed is tried again at the next call; a call that failed keeps its connection.
      if (!(error instanceof RpcError) && dialled === dialling) dialled = undefined
      throw error instanceof RpcError
        ? error
        : new RpcError('UNAVAILABLE', 'host services unreachable', { cause: error })
    }
  }
  return {
    get names() {
      return names
    },
    announce(announced) {
      names = [...announced]
    },
    async close() {
      const dialling = dialled
      dialled = undefined
      const client = await dialling?.catch(() => undefined)
      client?.close()
    },
    // Loaded when they are first wanted: most plugins use none of them.
    async metrics() {
      requireOffered(names, 'spire.hostservice.common.metrics.v1.Metrics')
      return (await import('./host-metrics.ts')).newMetrics(call)
    },
    async agentStore() {
      requireOffered(names, 'spire.hostservice.server.agentstore.v1.AgentStore')
      return (await import('./host-agent-store.ts')).newAgentStore(call)
    },
    async identityProvider() {
      requireOffered(names, 'spire.hostservice.server.identityprovider.v1.IdentityProvider')
      return (await import('./host-identity-provider.ts')).newIdentityProvider(call)
    },
    call,
  }
}

/**
 * Makes host services that refuse everything, for `Validate`, which may not use them.
 *
 * @returns Services whose every use throws `FAILED_PRECONDITION`.
 */
export function refusingHostServices(): HostServices {
  return { names: [], metrics: refuse, agentStore: refuse, identityProvider: refuse, call: refuse }
}

async function refuse(): Promise<never> {
  throw new RpcError('FAILED_PRECONDITION', 'host services may not be used while a configuration is validated')
}

/**
 * Checks that the host offers what a plugin cannot do without.
 *
 * @param names Full names the host announced.
 * @param name Full name of the service needed.
 * @throws {RpcError} `FAILED_PRECONDITION`: the host does not offer it.
 */
export function requireOffered(names: readonly string[], name: string): void {
  if (names.includes(name)) return
  throw new RpcError('FAILED_PRECONDITION', `host service ${name} is not offered by this host`)
}

// Any generated client will do: only its generic unary call is used, so one connection serves every service.
async function dial(broker: Broker): Promise<MetricsClient> {
  const { MetricsClient } = await import('../gen/spire/hostservice/common/metrics/v1/metrics.ts')
  const { target, credentials, options } = await broker.dial(HOST_SERVICES_ID)
  return new MetricsClient(target, credentials, options)
}

function invoke<Req, Res>(
  client: MetricsClient,
  method: HostMethod<Req, Res>,
  request: Req,
  options: HostCallOptions,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + (options.timeoutMs ?? HOST_CALL_TIMEOUT_MS)
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      { deadline },
      (error, response) => {
        options.signal?.removeEventListener('abort', cancel)
        if (error !== null) reject(new RpcError(statusName(error.code), error.details, { cause: error }))
        else if (response === undefined) reject(new RpcError('INTERNAL', `host answered ${method.path} with nothing`))
        else resolve(response)
      },
    )
    const cancel = (): void => call.cancel()
    options.signal?.addEventListener('abort', cancel, { once: true })
    if (options.signal?.aborted === true) cancel()
  })
}
