/**
 * gRPC servers that are fed with connections somebody else accepted.
 *
 * @module
 */
import type { Duplex } from 'node:stream'
import { type ChannelOptions, Server, type ServerCredentials, type ServerOptions } from '@grpc/grpc-js'
import type { HclogLogger } from '../log/hclog.ts'
import { type GoPluginService, guardedImplementation } from './guarded-service.ts'

/** Go's default is 4 MiB; some hosts send more. Still a bound: the message is held in memory whole. */
const MAX_RECEIVE_BYTES = 64 * 1024 * 1024

const SERVER_OPTIONS: ServerOptions = {
  'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
  'grpc.max_send_message_length': -1,
  'grpc.enable_channelz': 0,
}

/** Options of every connection to the host: it sets no limit itself, and no proxy lies between. */
export const DIAL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
  'grpc.max_send_message_length': -1,
  'grpc.enable_channelz': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.default_authority': 'localhost',
  'grpc.ssl_target_name_override': 'localhost',
  'grpc.service_config_disable_resolution': 1,
}

/**
 * SPIRE cancels the stream of every attestation, good ones too, and each cancellation resets an HTTP/2 stream. Node
 * counts those as an attack: after a burst of 1,000, above 33 a second, it ends the connection and every call on it.
 * Only the host can connect here, so there is nobody to protect from.
 *
 * @see nghttp2_option_set_stream_reset_rate_limit
 */
const RESET_LIMITS = { streamResetBurst: 1_000_000_000, streamResetRate: 1_000_000_000 }

/** A running gRPC server. */
export interface FedServer {
  /** Serves one accepted connection. */
  feed(connection: Duplex): void
  /** Ends every call and connection at once. */
  close(): void
}

/**
 * Starts a server without a listener of its own.
 *
 * @param services What to serve.
 * @param credentials Plain, or TLS for AutoMTLS.
 * @param log Told about handlers that fail.
 * @returns Server that waits for connections.
 */
export function newFedServer(
  services: readonly GoPluginService[],
  credentials: ServerCredentials,
  log: HclogLogger,
): FedServer {
  const server = new Server(SERVER_OPTIONS)
  liftResetLimits(server)
  for (const service of services) server.addService(service.definition, guardedImplementation(service, log))
  const injector = server.createConnectionInjector(credentials)
  return {
    feed: (connection) => injector.injectConnection(connection),
    // tryShutdown() would wait for the broker's stream, which never ends by itself.
    close: () => server.forceShutdown(),
  }
}

// grpc-js keeps its HTTP/2 options to itself; a release without this field fails the test of a storm of cancelled calls.
function liftResetLimits(server: Server): void {
  const options: unknown = Reflect.get(server, 'commonServerOptions')
  if (typeof options === 'object' && options !== null) Object.assign(options, RESET_LIMITS)
}
