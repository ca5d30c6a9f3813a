/**
 * Serves a SPIRE plugin: everything between the author's code and go-plugin.
 *
 * @module
 */
import { serveGoPlugin } from '@tower-of-omens/go-plugin'
import { limitHeapGrowth } from './heap-growth.ts'
import type { PluginOptions } from './plugin-options.ts'

/**
 * Serves a plugin until its host lets it go. To be called once, by the executable's main module.
 *
 * @param options What the plugin is made of.
 * @returns Resolves when the plugin has been shut down.
 */
export async function servePlugin<C = undefined>(options: PluginOptions<C>): Promise<void> {
  let close: (() => Promise<void>) | undefined
  const server = await serveGoPlugin({
    name: options.name,
    hint: 'Name it as plugin_cmd in the configuration of the host (spire-server or spire-agent).',
    version: options.version,
    cookie: { key: options.type, value: options.type },
    services: async (running) => {
      limitHeapGrowth()
      // Loaded here, because it needs gRPC: by now the handshake line is out.
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
  })
  await server.closed
}
