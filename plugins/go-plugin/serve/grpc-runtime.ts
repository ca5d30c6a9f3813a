/**
 * Everything of a plugin that needs gRPC, in one module: it is loaded only after the handshake line is out, while the
 * host is busy dialling.
 *
 * @module
 */
import type { Socket } from 'node:net'
import { ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js'
import { type Broker, type BrokerParts, newSocketBroker } from '../broker/broker.ts'
import { newBrokerLink } from '../broker/broker-link.ts'
import type { MuxTransport } from '../broker/mux-transport.ts'
import { newFedServer } from '../grpc/grpc-server.ts'
import type { GoPluginService } from '../grpc/guarded-service.ts'
import type { ListenPlace } from '../grpc/listener.ts'
import { withReflection } from '../grpc/reflection.ts'
import type { DescriptorSource } from '../grpc/reflection-answers.ts'
import type { HclogLogger } from '../log/hclog.ts'
import type { PluginTls } from '../tls/auto-mtls.ts'
import type { OutputCapture } from './output-capture.ts'
import { brokerService, controllerService, healthService, stdioService } from './standard-services.ts'

/** What the runtime is made of. */
export interface RuntimeParts {
  readonly log: HclogLogger
  readonly capture: OutputCapture
  readonly place: ListenPlace
  /** Keys of AutoMTLS; `undefined` where the host did not ask for it. */
  readonly tls: PluginTls | undefined
  /** Whether the host carries everything over one connection. */
  readonly multiplex: boolean
  /** Makes the plugin's own services. */
  readonly services: (broker: Broker) => Promise<readonly GoPluginService[]>
  /** Descriptors of the plugin's own services, for reflection. */
  readonly descriptors: readonly DescriptorSource[]
  /** Starts the shutdown of the plugin. */
  readonly shutdown: () => void
}

/** A plugin's gRPC side. */
export interface GrpcRuntime {
  /** Serves one connection of the host. */
  handle(socket: Socket): void
  /** Ends every call, connection and brokered server at once. */
  close(): void
}

/**
 * Builds the gRPC side of a plugin.
 *
 * @param parts See `RuntimeParts`.
 * @returns Runtime that waits for connections.
 */
export async function newGrpcRuntime(parts: RuntimeParts): Promise<GrpcRuntime> {
  const { log, capture, place, tls, shutdown } = parts
  const link = newBrokerLink()
  const secrets = credentialsFor(tls)
  const { broker, handle } = await transportFor(parts.multiplex, { link, place, log, ...secrets })
  const services = [
    brokerService(link),
    stdioService(capture),
    controllerService(shutdown),
    healthService(),
    ...(await parts.services(broker)),
  ]
  const server = newFedServer(withReflection(services, parts.descriptors, log), secrets.serverCredentials, log)
  return {
    handle: (socket) => handle(socket, (connection) => server.feed(connection)),
    close: () => {
      broker.close()
      server.close()
    },
  }
}

// Without multiplexing every connection is for the main server, and the broker opens sockets of its own.
async function transportFor(multiplex: boolean, parts: BrokerParts): Promise<MuxTransport> {
  if (!multiplex) return { broker: newSocketBroker(parts), handle: (connection, serveMain) => serveMain(connection) }
  const { newMuxTransport } = await import('../broker/mux-transport.ts')
  return newMuxTransport(parts)
}

function credentialsFor(tls: PluginTls | undefined): {
  readonly serverCredentials: ServerCredentials
  readonly channelCredentials: ChannelCredentials
} {
  if (tls === undefined) {
    return { serverCredentials: ServerCredentials.createInsecure(), channelCredentials: credentials.createInsecure() }
  }
  const { hostCert, key, cert } = tls
  return {
    serverCredentials: ServerCredentials.createSsl(hostCert, [{ private_key: key, cert_chain: cert }], true),
    channelCredentials: ChannelCredentials.createSsl(hostCert, key, cert),
  }
}
