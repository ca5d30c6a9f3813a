/**
 * Agent KeyManager "tpm", put together.
 *
 * @module
 */
import { agentKeyManager, type PluginOptions } from '@tower-of-omens/spire-sdk'
import { buildKeyManager } from './config.ts'
import type { KeyStore } from './key-store.ts'
import { toRpcError } from './status.ts'

/** Everything `servePlugin` needs to serve the key manager. */
export const TPM_KEYS_PLUGIN: PluginOptions<KeyStore> = {
  name: 'key-manager-tpm',
  type: 'KeyManager',
  config: { build: buildKeyManager, dispose: (store) => store.close() },
  services: [
    agentKeyManager<KeyStore>({
      generateKey: (id, type, store) => store.generate(id, type),
      getPublicKey: async (id, store, { log }) => (await store.list(log)).find((key) => key.id === id),
      getPublicKeys: (store, { log }) => store.list(log),
      signData: (request, store) => store.sign(request),
    }),
  ],
  mapError: toRpcError,
}
