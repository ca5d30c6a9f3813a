/**
 * Everything the author of a SPIRE plugin needs, name by name. Importing it loads neither gRPC nor generated code.
 *
 * @module
 */

export { type Decoded, defineSchema, type FieldSpecs, type Schema } from '../hcl/index.ts'
export { agentKeyManager } from './agent-key-manager.ts'
export { type AgentNodeAttestor, type AidAttestationStream, agentNodeAttestor } from './agent-node-attestor.ts'
export { type BundlePublisher, bundlePublisher } from './bundle-publisher.ts'
export type { CallContext, CallMetadata, Logger } from './call.ts'
export { type CredentialComposer, type CredentialSubject, credentialComposer } from './credential-composer.ts'
export { hclConfig } from './hcl-config.ts'
export type { AgentStore } from './host-agent-store.ts'
export type { IdentityProvider, X509Identity } from './host-identity-provider.ts'
export type { MetricLabels, Metrics } from './host-metrics.ts'
export type { HostCall, HostCallOptions, HostMethod, HostServices } from './host-services.ts'
export {
  HASH_ALGORITHMS,
  type HashAlgorithmName,
  KEY_TYPES,
  type KeyManager,
  type KeyTypeName,
  type ManagedKey,
  type Signed,
  type SignRequest,
} from './key-manager.ts'
export { type Notifier, notifier } from './notifier.ts'
export type {
  BuildContext,
  ConfigBuilder,
  ConfigOutcome,
  ConfigRequest,
  PluginOptions,
  PluginType,
} from './plugin-options.ts'
export type { PluginService } from './plugin-service.ts'
export { RpcError, type RpcErrorOptions, type StatusName } from './rpc-error.ts'
export { servePlugin } from './serve.ts'
export { serverKeyManager } from './server-key-manager.ts'
export {
  type AgentAttributes,
  type AttestStream,
  MAX_ATTESTATION_MESSAGE_BYTES,
  type ServerNodeAttestor,
  serverNodeAttestor,
} from './server-node-attestor.ts'
export { agentSpiffeId, MAX_SPIFFE_ID_BYTES, parseSpiffeId, parseTrustDomain, type SpiffeId } from './spiffe-id.ts'
export { type StoredSvid, type SvidStore, svidStore } from './svid-store.ts'
export {
  type MintedCa,
  type MintRequest,
  type UpstreamAuthority,
  type UpstreamBundle,
  upstreamAuthority,
} from './upstream-authority.ts'
export { type WorkloadAttestor, type WorkloadReference, workloadAttestor } from './workload-attestor.ts'
