/** The key manager's executable, started as spire-agent starts it. @module */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  configure,
  driveAgentKeyManager,
  HOST_SERVICES,
  initPlugin,
  launchPlugin,
} from '../../plugins/spire-sdk/testing/index.ts'
import { Processes } from '../lab/processes/processes.ts'
import { Swtpm } from '../lab/services/swtpm.ts'

const command = join(process.env['TOWER_DIST'] ?? resolve(import.meta.dirname, '../../dist'), 'key-manager-tpm')
const missing = ['swtpm', 'swtpm_setup'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined)

describe('key-manager-tpm', () => {
  it.skipIf(missing.length > 0)('is loaded, makes a key, signs, and leaves (skipped without swtpm)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tpm-keys-'))
    mkdirSync(join(folder, 'logs'))
    const processes = new Processes(folder, join(folder, 'logs'))
    onTestFinished(async () => {
      await processes.stopAll()
      rmSync(folder, { recursive: true })
    })
    const { path } = await Swtpm.start(processes, { dir: folder })
    const plugin = await launchPlugin({ command, cookie: { key: 'KeyManager', value: 'KeyManager' } })
    try {
      expect((await initPlugin(plugin, HOST_SERVICES.agent))[0]).toBe('spire.plugin.agent.keymanager.v1.KeyManager')
      await configure(plugin, { trustDomain: 'example.org', hcl: `directory = "${folder}/keys"\ntpm_path = "${path}"` })
      const keys = driveAgentKeyManager(plugin)
      const made = await keys.generateKey('agent-svid-A', 'EC_P256')
      const data = createHash('sha256').update('message').digest()
      const signed = await keys.signData({ keyId: 'agent-svid-A', data, hash: 'SHA256' })
      expect(signed.keyFingerprint).toBe(made.fingerprint)
      expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
    } finally {
      await plugin.kill()
    }
  })

  it('tells a person its version', () => {
    const { stdout, status } = spawnSync(command, ['--version'], { encoding: 'utf8' })
    expect({ stdout, status }).toEqual({
      stdout: expect.stringMatching(/^key-manager-tpm \d+\.\d+\.\d+\n$/) as string,
      status: 0,
    })
  })
})
