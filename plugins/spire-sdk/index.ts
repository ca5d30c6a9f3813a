/**
 * Everything the author of a SPIRE plugin needs, name by name. Importing it loads neither gRPC nor generated code.
 *
 * @module
 */

export { BUNDLE_FORMATS, type BundleFormat, formatBundle, jwtAuthoritiesAsPem } from './bundle-format/bundle-format.ts'
export type { X509SVID } from './gen/spire/plugin/agent/svidstore/v1/svidstore.ts'
export type {
  JWTSVIDAttributes,
  X509CAAttributes,
  X509SVIDAttributes,
} from './gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts'
export type { Bundle } from './gen/spire/plugin/types/bundle.ts'
export type { JWTKey } from './gen/spire/plugin/types/jwtkey.ts'
export type { X509Certificate } from './gen/spire/plugin/types/x509certificate.ts'
export { type Decoded, defineSchema, type FieldSpecs, type Schema } from './hcl/index.ts'
export type { AgentStore } from './host-services/host-agent-store.ts'
export type { HostCall, HostCallOptions, HostMethod } from './host-services/host-call.ts'
export type { IdentityProvider, X509Identity } from './host-services/host-identity-provider.ts'
export type { MetricLabels, Metrics } from './host-services/host-metrics.ts'
export type { HostServices } from './host-services/host-services.ts'
export { agentKeyManager } from './plugin-types/agent-key-manager.ts'
export {
  type AgentNodeAttestor,
  type AidAttestationStream,
  agentNodeAttestor,
} from './plugin-types/agent-node-attestor.ts'
export { type BundlePublisher, bundlePublisher } from './plugin-types/bundle-publisher.ts'
export {
  type CredentialComposer,
  type CredentialSubject,
  credentialComposer,
} from './plugin-types/credential-composer.ts'
export {
  HASH_ALGORITHMS,
  type HashAlgorithmName,
  KEY_TYPES,
  type KeyManager,
  type KeyTypeName,
  type ManagedKey,
  type Signed,
  type SignRequest,
} from './plugin-types/key-manager.ts'
export { type Notifier, notifier } from './plugin-types/notifier.ts'
export { serverKeyManager } from './plugin-types/server-key-manager.ts'
export {
  type AgentAttributes,
  type AttestStream,
  MAX_ATTESTATION_MESSAGE_BYTES,
  type ServerNodeAttestor,
  serverNodeAttestor,
} from './plugin-types/server-node-attestor.ts'
export { type StoredSvid, type SvidStore, svidStore } from './plugin-types/svid-store.ts'
export {
  type MintedCa,
  type MintRequest,
  type UpstreamAuthority,
  type UpstreamBundle,
  upstreamAuthority,
} from './plugin-types/upstream-authority.ts'
export { type WorkloadAttestor, type WorkloadReference, workloadAttestor } from './plugin-types/workload-attestor.ts'
export type { CallContext, CallMetadata, Logger } from './runtime/call.ts'
export { hclConfig } from './runtime/hcl-config.ts'
export type {
  BuildContext,
  ConfigBuilder,
  ConfigOutcome,
  ConfigRequest,
  PluginOptions,
  PluginType,
} from './runtime/plugin-options.ts'
export type { PluginService } from './runtime/plugin-service.ts'
export { servePlugin } from './runtime/serve.ts'
export { RpcError, type RpcErrorOptions, type StatusName } from './wire/rpc-error.ts'
export { agentSpiffeId, MAX_SPIFFE_ID_BYTES, parseSpiffeId, parseTrustDomain, type SpiffeId } from './wire/spiffe-id.ts'
