/**
 * The plugin of plugins/spire-sdk/README.md, run as a real process and driven as SPIRE drives it.
 *
 * @module
 */

import { execFileSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  attestOnce,
  configure,
  deinitPlugin,
  HOST_SERVICES,
  initPlugin,
  launchPlugin,
  type PluginProcess,
  validate,
} from '../../../plugins/spire-sdk/testing/index.ts'

const resolvePackage = createRequire(import.meta.url).resolve
const SDK = join(import.meta.dirname, '../../../plugins/spire-sdk')
const cookie = { key: 'NodeAttestor', value: 'NodeAttestor' }
const trustDomain = 'example.org'

/** Takes the first snippet in a language that holds a text, with imports that work from anywhere. */
function snippet(language: string, holding: string): string {
  const readme = readFileSync(join(SDK, 'README.md'), 'utf8')
  const all = [...readme.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1] ?? '')
  const found = all.find((text) => text.includes(holding))
  if (found === undefined) throw new Error(`README.md has no ${language} snippet with ${holding}`)
  return found.replaceAll(/'(@tower-of-omens\/[^']+)'/g, (_, name: string) => `'${resolvePackage(name)}'`)
}

const answerWith = (word: string) => (challenge: Uint8Array) => createHmac('sha256', word).update(challenge).digest()

describe('the plugin of the README', () => {
  let folder: string
  let plugin: PluginProcess

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'readme-'))
    const file = join(folder, 'shared-word.ts')
    writeFileSync(file, snippet('ts', 'servePlugin'))
    plugin = await launchPlugin({ command: process.execPath, args: [file], cookie })
  })

  afterAll(async () => {
    await plugin.kill()
    rmSync(folder, { recursive: true, force: true })
  })

  it('has fewer than 30 lines', () => {
    expect(snippet('ts', 'servePlugin').trimEnd().split('\n').length).toBeLessThan(30)
  })

  it('is tried out as the README says', () => {
    writeFileSync(join(folder, 'try.ts'), snippet('ts', 'launchPlugin'))
    const output = execFileSync(process.execPath, ['try.ts'], { cwd: folder, encoding: 'utf8' })
    expect(output).toContain("spiffeId: 'spiffe://example.org/spire/agent/shared_word/node-1'")
  })

  it('is loaded, configured, asked and unloaded like any plugin', async () => {
    expect(await initPlugin(plugin, HOST_SERVICES.server)).toEqual([
      'spire.plugin.server.nodeattestor.v1.NodeAttestor',
      'spire.service.common.config.v1.Config',
    ])
    await expect(attestOnce(plugin, { payload: Buffer.from('node-1'), answer: (c) => c })).rejects.toMatchObject({
      code: 9,
      details: 'not configured',
    })
    const hcl = /plugin_data \{\n(.*?)\n {2}\}/s.exec(snippet('hcl', 'plugin_data'))?.[1] ?? ''
    expect(await validate(plugin, { trustDomain, hcl })).toEqual({ valid: true, notes: [] })
    await configure(plugin, { trustDomain, hcl })

    expect(await attestOnce(plugin, { payload: Buffer.from('node-1'), answer: answerWith('sesame') })).toEqual({
      spiffeId: 'spiffe://example.org/spire/agent/shared_word/node-1',
      selectorValues: ['id:node-1'],
      canReattest: true,
    })
    await expect(
      attestOnce(plugin, { payload: Buffer.from('node-1'), answer: answerWith('barley') }),
    ).rejects.toMatchObject({ code: 7, details: 'node does not know the word' })
    await expect(
      attestOnce(plugin, { payload: Buffer.from('../evil'), answer: answerWith('sesame') }),
    ).rejects.toMatchObject({ code: 3 })

    await deinitPlugin(plugin)
    expect(await plugin.shutdown()).toMatchObject({ code: 0, forced: false })
    expect(plugin.stdoutRest()).toBe('')
  })
})
