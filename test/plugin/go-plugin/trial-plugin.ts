/** A plugin for tests, run as a process of its own: `node trial-plugin.ts`. @module */
import { serveGoPlugin } from '../../../plugins/go-plugin/serve/server.ts'

// oxlint-disable-next-line no-console -- what was bound to the real stderr must not stay so
if (process.env['TRIAL_EARLY_CONSOLE'] !== undefined) console.error('early')

await serveGoPlugin({
  name: 'trial-plugin',
  cookie: { key: 'SomePlugin', value: 'SomePlugin' },
  hint: process.env['TRIAL_HINT'],
  version: process.env['TRIAL_VERSION'],
  protocolVersions: (process.env['TRIAL_PROTOCOL_VERSIONS'] ?? '1').split(',').map(Number),
  terminateGraceMs: Number(process.env['TRIAL_GRACE_MS'] ?? '15000'),
  transport: process.env['TRIAL_TRANSPORT'] === 'tcp' ? 'tcp' : 'unix',
  services: async (context) => {
    if (process.env['TRIAL_FAIL_SERVICES'] !== undefined) throw new Error('no services today')
    return (await import('./trial-actions.ts')).trialServices(context)
  },
  // A text is no set of descriptors.
  descriptors: process.env['TRIAL_BAD_DESCRIPTORS'] === undefined ? undefined : () => Buffer.from('descriptors'),
  onShutdown: async () => {
    if (process.env['TRIAL_HANG_SHUTDOWN'] !== undefined) await new Promise(() => undefined)
  },
})
