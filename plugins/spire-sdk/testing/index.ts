/**
 * The other end of the plugin boundary: starts a plugin as SPIRE would, and drives it.
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
export type { AidAttestation, AidedAttestation, Attestation } from './node-attestation.ts'
export { aidAttestation, attestOnce } from './node-attestation.ts'
export type { PluginConfig, Validation } from './spire-host.ts'
export { configure, deinitPlugin, HOST_SERVICES, initPlugin, unary, validate } from './spire-host.ts'
