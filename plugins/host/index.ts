/**
 * The other end of the plugin boundary: starts a plugin as SPIRE would, and drives it.
 *
 * @module
 */
export type { HostLogEntry } from './host-log.ts'
export { newHostLogParser } from './host-log.ts'
export type { AidAttestation, AidedAttestation, Attestation } from './node-attestation.ts'
export { aidAttestation, attestOnce } from './node-attestation.ts'
export type { ClientConstructor, ExitStatus, LaunchOptions, PluginProcess } from './plugin-process.ts'
export { launchPlugin, PluginStartError } from './plugin-process.ts'
export type { PluginConfig, Validation } from './spire-host.ts'
export { configure, deinitPlugin, HOST_SERVICES, initPlugin, unary, validate } from './spire-host.ts'
