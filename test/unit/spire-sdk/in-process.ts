/**
 * Serves a plugin's services on a real gRPC server inside the test, without a process and a handshake.
 *
 * @module
 */
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import type { Broker, DialTarget } from '../../../plugins/go-plugin/broker/broker.ts'
import { newHclogLogger } from '../../../plugins/go-plugin/log/hclog.ts'
import type { GoPluginService } from '../../../plugins/go-plugin/serve/server.ts'
import type { PluginOptions } from '../../../plugins/spire-sdk/index.ts'
import { bindServices } from '../../../plugins/spire-sdk/runtime/bind-services.ts'
import type { ClientConstructor } from '../../../plugins/spire-sdk/testing/index.ts'

/** One line the plugin logged. */
export interface LogLine {
  readonly [key: string]: unknown
  readonly '@level': string
  readonly '@message': string
}

/** A plugin that is being served. */
export interface Served extends AsyncDisposable {
  readonly logs: readonly LogLine[]
  /** Makes a client of the plugin. */
  client<T>(kind: ClientConstructor<T>): T
  readonly close: () => Promise<void>
}

/** Serves services of any kind, on a port of the loopback that the system picks. */
export async function listen(services: readonly GoPluginService[]): Promise<{ target: string; stop: () => void }> {
  const server = new Server()
  for (const { definition, implementation } of services) server.addService(definition, implementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  return { target: `127.0.0.1:${port}`, stop: () => server.forceShutdown() }
}

/** Serves a plugin. `hostTarget` says where its broker finds the host's services, on any id, at each dial. */
export async function serveInProcess<C>(
  options: Omit<PluginOptions<C>, 'name' | 'type'>,
  hostTarget: () => string | undefined = () => undefined,
): Promise<Served> {
  const logs: LogLine[] = []
  const log = newHclogLogger((line) => logs.push(JSON.parse(line) as LogLine))
  const { services, close } = await bindServices<C>(
    { name: 'test', type: 'NodeAttestor', ...options },
    { broker: brokerTo(hostTarget), log, protocolVersion: 1 },
  )
  const { target, stop } = await listen(services)
  const clients: { close(): void }[] = []
  return {
    logs,
    client: (kind) => {
      const made = new kind(target, credentials.createInsecure())
      clients.push(made as { close(): void })
      return made
    },
    close,
    [Symbol.asyncDispose]: async () => {
      for (const each of clients) each.close()
      stop()
    },
  }
}

function brokerTo(hostTarget: () => string | undefined): Broker {
  return {
    async dial(): Promise<DialTarget> {
      const target = hostTarget()
      if (target === undefined) throw new Error('broker id 1: no connection info within 5000 ms')
      return { target, credentials: credentials.createInsecure(), options: {} }
    },
    accept: async () => ({ close: () => undefined }),
    nextId: () => 1,
  }
}
