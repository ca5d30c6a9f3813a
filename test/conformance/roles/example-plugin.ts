/**
 * The plugins of go-plugin's own examples and tests, in one: key and value store, two-way counter, and the test
 * service, whose methods make a plugin print, log, fail, wait and start child processes.
 *
 * @module
 */
import { serveGoPlugin } from '../../../plugins/go-plugin/serve/server.ts'

void serveGoPlugin({
  name: 'example-plugin',
  cookie: { key: 'BASIC_PLUGIN', value: 'hello' },
  protocolVersions: (process.env['CONFORMANCE_VERSIONS'] ?? '1').split(',').map(Number),
  transport: process.env['CONFORMANCE_TRANSPORT'] === 'tcp' ? 'tcp' : 'unix',
  terminateGraceMs: Number(process.env['CONFORMANCE_GRACE_MS'] ?? 15_000),
  descriptors: async () => (await import('./example-services.ts')).exampleDescriptors(),
  services: async (context) => (await import('./example-services.ts')).exampleServices(context),
})
