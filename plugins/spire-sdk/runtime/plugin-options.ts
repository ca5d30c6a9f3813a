/**
 * What the author of a plugin hands to `servePlugin`.
 *
 * @module
 */
import type { DescriptorSource } from '@tower-of-omens/go-plugin'
import type { HostServices } from '../host-services/host-services.ts'
import type { RpcError } from '../wire/rpc-error.ts'
import type { Logger } from './call.ts'
import type { PluginService } from './plugin-service.ts'

/** What SPIRE sends to be configured with. */
export interface ConfigRequest {
  /** Bare name of the trust domain, checked. */
  readonly trustDomain: string
  /** Text of `plugin_data`: HCL 1, or JSON when it comes from a file; empty when there is none. */
  readonly hcl: string
}

/** How a configuration is to be built. */
export interface BuildContext {
  /** `validate`: no sockets, no host services, no side effect. */
  readonly mode: 'configure' | 'validate'
  readonly log: Logger
  /** May be kept for later; not to be called before `Configure` has ended. */
  readonly hosts: HostServices
}

/** What came of building. */
export interface ConfigOutcome<C> {
  /** Everything wrong, one sentence each. Any problem refuses the configuration. */
  readonly problems: readonly string[]
  /** What an operator should know although the configuration is usable; logged. */
  readonly warnings?: readonly string[]
  /** The configuration; there must be one when there is no problem. */
  readonly config?: C
}

/** Maker of configurations, which also releases them. */
export interface ConfigBuilder<C> {
  /**
   * Builds a configuration whole, or says everything that is wrong.
   *
   * @throws {RpcError} Only for what is no fault of the text.
   */
  build(request: ConfigRequest, context: BuildContext): Promise<ConfigOutcome<C>> | ConfigOutcome<C>
  /** Releases a configuration when the last call that used it has ended. */
  dispose?(config: C): Promise<void>
}

/** Plugin types SPIRE knows. Server and agent halves of a type share its name. */
export type PluginType =
  | 'NodeAttestor'
  | 'KeyManager'
  | 'UpstreamAuthority'
  | 'Notifier'
  | 'BundlePublisher'
  | 'CredentialComposer'
  | 'WorkloadAttestor'
  | 'SVIDStore'

/** What a plugin is made of. */
export interface PluginOptions<C> {
  /** Name of the executable, for the text a human sees who runs it by hand. */
  readonly name: string
  /** Version of the executable; with it `--version`, by hand, prints name and version. */
  readonly version?: string | undefined
  /** Type in SPIRE's configuration; also key and value of go-plugin's magic cookie. */
  readonly type: PluginType | (string & Record<never, never>)
  /** What the plugin serves, its type first. */
  readonly services: readonly PluginService<C>[]
  /** Builds configurations. Without it SPIRE refuses `plugin_data`, and calls get `undefined` as configuration. */
  readonly config?: ConfigBuilder<C>
  /** Translates the plugin's own errors; `undefined` for an error it does not know. */
  readonly mapError?: (error: unknown) => RpcError | undefined
  /** Full names of host services without which the plugin must not be loaded. */
  readonly requiredHostServices?: readonly string[]
  /** Descriptors of services that are not SPIRE's, for reflection; those of SPIRE's plugin types are known. */
  readonly descriptors?: DescriptorSource
  /** Called once when SPIRE unloads the plugin, after the last configuration is disposed of. */
  readonly close?: (log: Logger) => Promise<void> | void
}
