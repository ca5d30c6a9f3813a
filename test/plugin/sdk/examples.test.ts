/**
 * The examples of the SDK: each is loaded as SPIRE would load it, and their own tests pass.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { HOST_SERVICES, initPlugin, launchPlugin } from '../../../plugins/spire-sdk/testing/index.ts'

const EXAMPLES = join(import.meta.dirname, '../../../plugins/spire-sdk/examples')

/** Folder, type in SPIRE's configuration, and the service SPIRE must find. */
const TYPES = [
  ['agent-key-manager', 'KeyManager', 'spire.plugin.agent.keymanager.v1.KeyManager'],
  ['agent-node-attestor', 'NodeAttestor', 'spire.plugin.agent.nodeattestor.v1.NodeAttestor'],
  ['bundle-publisher', 'BundlePublisher', 'spire.plugin.server.bundlepublisher.v1.BundlePublisher'],
  ['credential-composer', 'CredentialComposer', 'spire.plugin.server.credentialcomposer.v1.CredentialComposer'],
  ['notifier', 'Notifier', 'spire.plugin.server.notifier.v1.Notifier'],
  ['server-key-manager', 'KeyManager', 'spire.plugin.server.keymanager.v1.KeyManager'],
  ['server-node-attestor', 'NodeAttestor', 'spire.plugin.server.nodeattestor.v1.NodeAttestor'],
  ['svid-store', 'SVIDStore', 'spire.plugin.agent.svidstore.v1.SVIDStore'],
  ['upstream-authority', 'UpstreamAuthority', 'spire.plugin.server.upstreamauthority.v1.UpstreamAuthority'],
  ['workload-attestor', 'WorkloadAttestor', 'spire.plugin.agent.workloadattestor.v1.WorkloadAttestor'],
] as const

describe('the examples', () => {
  it('are one for each plugin type [sdk:examples:every-type]', () => {
    expect(globSync('*', { cwd: EXAMPLES }).toSorted()).toEqual(TYPES.map(([folder]) => folder))
  })

  it.each(TYPES)('%s is loaded as a %s', async (folder, type, service) => {
    const main = join(EXAMPLES, folder, 'main.ts')
    const plugin = await launchPlugin({ command: process.execPath, args: [main], cookie: { key: type, value: type } })
    try {
      const side = service.includes('.server.') ? 'server' : 'agent'
      expect((await initPlugin(plugin, HOST_SERVICES[side]))[0]).toBe(service)
      expect(await plugin.shutdown()).toMatchObject({ code: 0, forced: false })
    } finally {
      await plugin.kill()
    }
  })

  it('pass their own tests', () => {
    const files = globSync('*/plugin.test.ts', { cwd: EXAMPLES })
    const args = ['--test', '--test-isolation=none', ...files]
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: EXAMPLES, encoding: 'utf8' })
    expect({ status, stdout }).toMatchObject({ status: 0 })
    expect(stdout).toMatch(/pass 13\n.*fail 0\n/)
  })
})
