/**
 * hashicorp's go-plugin for Node: what the author of a plugin calls. Importing it loads neither gRPC nor generated code.
 *
 * @module
 */

export type { Broker, BrokeredServer, DialTarget } from './broker/broker.ts'
export { type BidiStream, CallCancelledError, serveBidi, type WireStatus } from './grpc/bidi.ts'
export { serveUnary, type UnaryCall } from './grpc/unary.ts'
export type { HclogFields, HclogLogger } from './log/hclog.ts'
export type { MagicCookie } from './serve/handshake.ts'
export {
  type DescriptorSource,
  type GoPluginContext,
  type GoPluginOptions,
  type GoPluginServer,
  type GoPluginService,
  serveGoPlugin,
} from './serve/server.ts'
