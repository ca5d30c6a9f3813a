/**
 * A SPIRE plugin in the words of go-plugin.
 *
 * @module
 */
import type { GoPluginOptions } from '@tower-of-omens/go-plugin'
import type { PluginOptions } from './plugin-options.ts'

/**
 * Translates what a SPIRE plugin is made of. Nothing that needs gRPC is loaded before the services are asked for.
 *
 * @param options What the plugin is made of.
 * @returns Options for `serveGoPlugin` or `serveReattachable`, once.
 */
export function goPluginOptions<C>(options: PluginOptions<C>): GoPluginOptions {
  let close: (() => Promise<void>) | undefined
  return {
    name: options.name,
    hint: 'Name it as plugin_cmd in the configuration of the host (spire-server or spire-agent).',
    version: options.version,
    cookie: { key: options.type, value: options.type },
    services: async (running) => {
      const { bindServices } = await import('./bind-services.ts')
      const bound = await bindServices(options, running)
      close = bound.close
      return bound.services
    },
    descriptors: [
      ...(options.descriptors === undefined ? [] : [options.descriptors]),
      async () => (await import('../gen/descriptors.ts')).descriptorSet(),
    ],
    onShutdown: async () => close?.(),
  }
}
