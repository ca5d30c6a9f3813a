/**
 * A SPIRE plugin, served: everything between the author's code and go-plugin.
 *
 * @module
 */
import { serveGoPlugin } from '@tower-of-omens/go-plugin'
import { goPluginOptions } from './go-plugin-options.ts'
import { limitHeapGrowth } from './heap-growth.ts'
import type { PluginOptions } from './plugin-options.ts'

/**
 * Serves a plugin until its host lets it go. To be called once, by the executable's main module.
 *
 * @param options What the plugin is made of.
 * @returns Resolves when the plugin has been shut down.
 */
export async function servePlugin<C = undefined>(options: PluginOptions<C>): Promise<void> {
  const described = goPluginOptions(options)
  const server = await serveGoPlugin({
    ...described,
    services: (running) => {
      limitHeapGrowth()
      return described.services(running)
    },
  })
  await server.closed
}
