/**
 * hashicorp's go-plugin for Node: what the author of a plugin calls. Importing it loads neither gRPC nor generated code.
 *
 * @module
 */

export type { Broker } from './broker/broker.ts'
export { type BidiStream, CallCancelledError, serveBidi } from './grpc/bidi.ts'
export { serveUnary } from './grpc/unary.ts'
export type { HclogLogger } from './log/hclog.ts'
export { type DescriptorSource, type GoPluginContext, type GoPluginService, serveGoPlugin } from './serve/server.ts'
