/**
 * A database plugin for OpenBao: its "database" is a file of users, one JSON object, so that a test can look.
 *
 * @module
 */
import { serveGoPlugin } from '../../../plugins/go-plugin/index.ts'

void serveGoPlugin({
  name: 'omens-database',
  cookie: { key: 'VAULT_DATABASE_PLUGIN', value: '926a0820-aea2-be28-51d6-83cdf00e8edb' },
  protocolVersions: [5, 6],
  hint: 'Register it with `bao plugin register`.',
  services: async (context) => (await import('./database-services.ts')).databaseServices(context),
})
