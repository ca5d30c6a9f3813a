/** The keeper's executable, started as spire-server starts it. @module */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  configure,
  driveBundlePublisher,
  HOST_SERVICES,
  initPlugin,
  launchPlugin,
  testBundle,
} from '../../plugins/spire-sdk/testing/index.ts'

const dist = process.env['TOWER_DIST'] ?? resolve(import.meta.dirname, '../../dist')
const command = join(dist, 'bundle-publisher-keeper')

describe('bundle-publisher-keeper', () => {
  it('is loaded, configured, publishes, and leaves', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keeper-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const plugin = await launchPlugin({ command, cookie: { key: 'BundlePublisher', value: 'BundlePublisher' } })
    try {
      expect((await initPlugin(plugin, HOST_SERVICES.server))[0]).toBe(
        'spire.plugin.server.bundlepublisher.v1.BundlePublisher',
      )
      const hcl = `folder = "${folder}"\nformats = ["spiffe"]\nreload_command = ["/bin/true"]`
      await configure(plugin, { trustDomain: 'example.org', hcl })
      await driveBundlePublisher(plugin).publishBundle(testBundle({ sequenceNumber: 4n }))
      expect(readdirSync(folder)).toEqual(['bundle.json'])
      expect(readFileSync(join(folder, 'bundle.json'), 'utf8')).toBe('{"keys":[],"spiffe_sequence":4}')
      expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
      expect(plugin.stdoutRest()).toBe('')
    } finally {
      await plugin.kill()
    }
  })

  it('tells a person its version', () => {
    const { stdout, status } = spawnSync(command, ['--version'], { encoding: 'utf8' })
    expect({ stdout, status }).toEqual({
      stdout: expect.stringMatching(/^bundle-publisher-keeper \d+\.\d+\.\d+\n$/) as string,
      status: 0,
    })
  })
})
