/**
 * Server KeyManager: keeps the private keys of spire-server.
 *
 * @module
 */

import type { PluginService } from '../runtime/plugin-service.ts'
import { type KeyManager, keyManagerHandlers } from './key-manager.ts'

/**
 * Makes the service of a server KeyManager.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `KeyManager`.
 */
export function serverKeyManager<C>(impl: KeyManager<C>): PluginService<C> {
  return {
    name: 'spire.plugin.server.keymanager.v1.KeyManager',
    async bind(runtime) {
      const { KeyManagerService } = await import('../gen/spire/plugin/server/keymanager/v1/keymanager.ts')
      return { definition: KeyManagerService, implementation: keyManagerHandlers(impl, runtime) }
    },
  }
}
