/**
 * A secrets engine for OpenBao: keeps JSON under any path, in OpenBao's own storage, and breaks in some ways when asked to.
 *
 * @module
 */
import { serveGoPlugin } from '../../../plugins/go-plugin/index.ts'

void serveGoPlugin({
  name: 'omens',
  cookie: { key: 'VAULT_BACKEND_PLUGIN', value: '6669da05-b1c8-4f49-97d9-c8e5bed98e20' },
  protocolVersions: [5],
  hint: 'Register it with `bao plugin register`.',
  services: async (context) => (await import('./secrets-services.ts')).secretsServices(context),
})
