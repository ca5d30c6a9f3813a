/**
 * Ties a plugin's services to one configuration slot, one log and the host's services. Loaded with gRPC, after the
 * handshake line.
 *
 * @module
 */
import type { GoPluginContext, GoPluginService } from '@tower-of-omens/go-plugin'
import { newHostServices } from '../host-services/host-services.ts'
import type { PluginRuntime } from './call.ts'
import { CONFIG_SERVICE_NAME, configService, disposeLogged } from './config-service.ts'
import { ConfigSlot } from './config-slot.ts'
import { initService } from './init-service.ts'
import type { PluginOptions } from './plugin-options.ts'

/** Everything one plugin process serves. */
export interface BoundServices {
  /** The plugin's own services, Config and Init. */
  readonly services: readonly GoPluginService[]
  /** Releases everything, once. */
  readonly close: () => Promise<void>
}

/** How long Deinit waits for running calls: they fail anyway when SPIRE goes on, and it waits 10 s at most. */
const CLOSE_TIMEOUT_MS = 2000

/**
 * Binds a plugin's services.
 *
 * @param options What the plugin is made of.
 * @param running Broker and log of the process.
 * @returns Everything to be served, Init and Config included, and the function that releases it all.
 */
export async function bindServices<C>(options: PluginOptions<C>, running: GoPluginContext): Promise<BoundServices> {
  const { log } = running
  const hosts = newHostServices(running.broker)
  const slot = new ConfigSlot<C>((config) => disposeLogged(options.config, log, config))
  const runtime: PluginRuntime<C> = { log, hosts, slot, mapError: options.mapError }
  const close = once(async () => {
    await withinTime(slot.close(), CLOSE_TIMEOUT_MS)
    await options.close?.(log)
    await hosts.close()
  })
  const names = options.services.map((service) => service.name)
  const services = await Promise.all(options.services.map((service) => service.bind(runtime)))
  if (options.config === undefined) {
    // Nothing to wait for: without a builder C is undefined, as servePlugin's default says.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    slot.replace(undefined as C)
  } else {
    names.push(CONFIG_SERVICE_NAME)
    services.push(configService(options.config, runtime))
  }
  const { requiredHostServices = [] } = options
  services.push(initService({ pluginServices: names, requiredHostServices, hosts, log, close }))
  return { services, close }
}

function once(run: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => (done ??= run())
}

async function withinTime(work: Promise<void>, timeoutMs: number): Promise<void> {
  const expired = Promise.withResolvers<void>()
  const timer = setTimeout(expired.resolve, timeoutMs)
  await Promise.race([work, expired.promise])
  clearTimeout(timer)
}
