/**
 * BundlePublisher "keeper", put together.
 *
 * @module
 */
import { bundlePublisher, type PluginOptions } from '@tower-of-omens/spire-sdk'
import { buildKeeper } from './config.ts'
import type { Keeper } from './keeper.ts'

/** Everything `servePlugin` needs to serve the keeper. */
export const KEEPER_PLUGIN: PluginOptions<Keeper> = {
  name: 'bundle-publisher-keeper',
  type: 'BundlePublisher',
  config: { build: buildKeeper },
  services: [
    bundlePublisher<Keeper>({
      publishBundle: (bundle, keeper, { log, signal }) => keeper.publish(bundle, log, signal),
    }),
  ],
}
