import { createHash } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { actAt, type Done, type FakeSite, startFakeSite, towerkeep } from './towerkeep.ts'

let site: FakeSite
let conf: string
let plugin: string
beforeEach(async () => {
  site = await startFakeSite({ nodes: 1 })
  conf = join(site.folder, 'server.conf')
  plugin = join(site.folder, 'plugin')
  writeFileSync(plugin, 'one')
})
afterEach(async () => site[Symbol.asyncDispose]())

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const OTHER = 'f'.repeat(64)
const pin = (...words: readonly string[]): Promise<Done> => actAt(site, 'pin', ...words, conf)
const hcl = (lines: string): string =>
  `plugins {\n  NodeAttestor "keylime" {\n    ${lines}\n    plugin_data {}\n  }\n}\n`

/** A configuration with a comment in our block, and a block of another plugin after it. */
const withOthers = (sum: string): string =>
  [
    'plugins {',
    '  NodeAttestor "keylime" {',
    `    # plugin_checksum = "${OTHER}"`,
    `    plugin_cmd = "${plugin}"`,
    ...(sum === '' ? [] : [`    plugin_checksum = "${sum}"`]),
    '  }',
    '  UpstreamAuthority "ours" {',
    '    plugin_cmd = "/usr/bin/ours"',
    `    plugin_checksum = "${OTHER}"`,
    '  }',
    '}',
    '',
  ].join('\n')

describe('pin', () => {
  it('finds a plugin that is not the pinned one, mends it, and has nothing to do then [O20] [P16]', async () => {
    writeFileSync(conf, hcl(`plugin_cmd = "${plugin}"`))
    const checked = await towerkeep('pin', conf, '--output', 'text')
    expect([checked.exit, checked.stdout]).toEqual([2, expect.stringContaining('pinned is nothing')])
    expect((await pin('--write', '--yes')).exit).toBe(0)
    expect(readFileSync(conf, 'utf8')).toMatch(/plugin_cmd = .*\n {4}plugin_checksum = "[0-9a-f]{64}"\n/)
    expect((await towerkeep('pin', conf)).exit).toBe(0)
    writeFileSync(plugin, 'two')
    expect((await towerkeep('pin', conf)).exit).toBe(2)
    expect((await pin('--write', '--yes')).exit).toBe(0)
    expect((await pin('--write', '--yes')).summary['outcome']).toBe('nothing-to-do')
  })

  it('names both sums of a wrong pin, writes the right one, and leaves owner and mode as they were', async () => {
    writeFileSync(conf, hcl(`plugin_cmd = "${plugin}"\n    plugin_checksum = "${OTHER}"`))
    chmodSync(conf, 0o640)
    const checked = await towerkeep('pin', conf)
    expect([checked.exit, checked.stdout]).toEqual([2, `${conf}: ${plugin} is ${sha256('one')}, pinned is ${OTHER}\n`])
    const dry = await pin('--write', '--dry-run')
    expect([dry.exit, readFileSync(conf, 'utf8')]).toEqual([0, expect.stringContaining(OTHER)])
    expect((await pin('--write', '--yes')).exit).toBe(0)
    expect(readFileSync(conf, 'utf8')).toBe(hcl(`plugin_cmd = "${plugin}"\n    plugin_checksum = "${sha256('one')}"`))
    expect(statSync(conf).mode & 0o777).toBe(0o640)
  })

  it('touches neither a comment nor the sum of another plugin', async () => {
    writeFileSync(conf, withOthers(''))
    expect((await pin('--write', '--yes')).exit).toBe(0)
    expect(readFileSync(conf, 'utf8')).toBe(withOthers(sha256('one')))
  })

  it('writes JSON too', async () => {
    writeFileSync(conf, JSON.stringify({ plugins: { NodeAttestor: { keylime: { plugin_cmd: plugin } } } }))
    expect((await pin('--write', '--yes')).exit).toBe(0)
    const written = JSON.parse(readFileSync(conf, 'utf8')) as Readonly<Record<string, unknown>>
    expect(written).toEqual({
      plugins: { NodeAttestor: { keylime: { plugin_cmd: plugin, plugin_checksum: sha256('one') } } },
    })
  })

  it('says which file has no such plugin, and which plugin cannot be read', async () => {
    writeFileSync(conf, 'plugins {}\n')
    const none = await pin('--write', '--yes')
    expect([none.exit, none.summary['error']]).toEqual([64, `${conf}: has no NodeAttestor "keylime" with plugin_cmd`])
    writeFileSync(conf, hcl('plugin_cmd = "/nowhere/plugin"'))
    const gone = await pin('--write', '--yes')
    expect([gone.exit, gone.summary['error']]).toEqual([64, `${conf}: plugin_cmd /nowhere/plugin cannot be read`])
  })
})
