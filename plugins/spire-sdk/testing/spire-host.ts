/**
 * SPIRE's side of a plugin: Init, Configure, Validate, Deinit.
 *
 * @see spiffe/spire ef8527ec9, pkg/common/catalog/{external,configure}.go
 * @module
 */
import { ConfigClient, type ConfigureRequest } from '../gen/spire/service/common/config/v1/config.ts'
import { InitClient } from '../gen/spire/service/private/init/v1/init.ts'
import { type DrivenPlugin, unary } from './driven-plugin.ts'

/** One configuration, as SPIRE hands it to a plugin. */
export interface PluginConfig {
  /** Bare name, without `spiffe://`. */
  readonly trustDomain: string
  /** Text of `plugin_data`. */
  readonly hcl: string
}

/** The names of the host services that a real SPIRE announces to every plugin of a side. */
export const HOST_SERVICES = {
  server: [
    'spire.hostservice.server.identityprovider.v1.IdentityProvider',
    'spire.hostservice.server.agentstore.v1.AgentStore',
    'spire.hostservice.common.metrics.v1.Metrics',
  ],
  agent: ['spire.hostservice.common.metrics.v1.Metrics'],
} as const

/**
 * Tells the plugin which host services exist, and asks what it implements.
 *
 * @param plugin A running plugin.
 * @param hostServiceNames Full gRPC names.
 * @returns Full gRPC names, the plugin's service first.
 * @throws {ServiceError} The plugin refuses.
 */
export async function initPlugin(
  plugin: DrivenPlugin,
  hostServiceNames: readonly string[],
): Promise<readonly string[]> {
  const request = { hostServiceNames: [...hostServiceNames] }
  const response = await unary<{ pluginServiceNames: string[] }>((done) =>
    plugin.client(InitClient).init(request, done),
  )
  return response.pluginServiceNames
}

/**
 * Tells the plugin that SPIRE unloads it.
 *
 * @param plugin A running plugin.
 * @throws {ServiceError} The plugin refuses.
 */
export async function deinitPlugin(plugin: DrivenPlugin): Promise<void> {
  await unary((done) => plugin.client(InitClient).deinit({}, done))
}

/**
 * Configures the plugin.
 *
 * @param plugin A running plugin.
 * @param config What to configure.
 * @throws {ServiceError} The plugin refuses the configuration.
 */
export async function configure(plugin: DrivenPlugin, config: PluginConfig): Promise<void> {
  await unary((done) => plugin.client(ConfigClient).configure(configRequest(config), done))
}

/** What a plugin says about a configuration. */
export interface Validation {
  readonly valid: boolean
  /** `spire-server validate` calls a configuration invalid when there is any. */
  readonly notes: readonly string[]
}

/**
 * Has the plugin check a configuration, without taking it.
 *
 * @param plugin A running plugin.
 * @param config What to check.
 * @returns What the plugin says.
 * @throws {ServiceError} The plugin has no opinion.
 */
export async function validate(plugin: DrivenPlugin, config: PluginConfig): Promise<Validation> {
  return await unary<Validation>((done) => plugin.client(ConfigClient).validate(configRequest(config), done))
}

function configRequest(config: PluginConfig): ConfigureRequest {
  return { coreConfiguration: { trustDomain: config.trustDomain }, hclConfiguration: config.hcl }
}
