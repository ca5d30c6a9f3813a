/**
 * The other end of the plugin boundary: serves a plugin to a test, or starts it as SPIRE would, and drives it.
 *
 * @module
 */
export type {
  ClientConstructor,
  ExitStatus,
  HostLogEntry,
  LaunchOptions,
  PluginProcess,
} from '@tower-of-omens/go-plugin/host'
export { launchPlugin, newHostLogParser, PluginStartError } from '@tower-of-omens/go-plugin/host'
export type { DrivenBundlePublisher, DrivenNotifier } from './bundle-events.ts'
export { driveBundlePublisher, driveNotifier, testBundle } from './bundle-events.ts'
export { type DrivenCredentialComposer, driveCredentialComposer } from './credential-composer.ts'
export { type DrivenPlugin, unary } from './driven-plugin.ts'
export { type FakeHost, type FakeHostOptions, fakeHost, type Measurement } from './fake-host.ts'
export { type DrivenKeyManager, driveAgentKeyManager, driveServerKeyManager } from './key-manager.ts'
export type { AidAttestation, AidedAttestation, Attestation } from './node-attestation.ts'
export { aidAttestation, attestOnce } from './node-attestation.ts'
export { type ServeForTestOptions, serveForTest, type TestPlugin } from './serve-for-test.ts'
export type { PluginConfig, Validation } from './spire-host.ts'
export { configure, deinitPlugin, HOST_SERVICES, initPlugin, validate } from './spire-host.ts'
export { type DrivenUpstreamAuthority, driveUpstreamAuthority } from './upstream-authority.ts'
export type { DrivenSvidStore, DrivenWorkloadAttestor } from './workloads.ts'
export { driveSvidStore, driveWorkloadAttestor } from './workloads.ts'
