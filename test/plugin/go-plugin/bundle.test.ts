/**
 * An author's plugin, bundled with what the package offers and started by a host.
 *
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Bundled, bundlePlugin } from '../../../plugins/go-plugin/bundle/index.ts'
import { launchPlugin } from '../../../plugins/go-plugin/host/index.ts'
import { newFolder } from './trial.ts'

const PACKAGE = createRequire(import.meta.url).resolve('@tower-of-omens/go-plugin')
const SOURCE = `import { serveGoPlugin } from '${PACKAGE}'
void serveGoPlugin({
  name: 'small',
  version: process.env['PLUGIN_VERSION'],
  cookie: { key: 'SMALL', value: 'small' },
  services: ({ log }) => {
    log.info('Serving', { flags: process.execArgv.join(' ') })
    return []
  },
})
`
const COOKIE = { key: 'SMALL', value: 'small' }

/** Bundles the plugin in a folder of its own. */
async function bundled(options: Partial<Parameters<typeof bundlePlugin>[0]> = {}): Promise<Bundled> {
  const folder = newFolder()
  writeFileSync(join(folder, 'main.ts'), SOURCE)
  return bundlePlugin({ folder, entry: 'main.ts', out: 'dist/small', version: '1.2.3', ...options })
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

describe('bundlePlugin', () => {
  it('makes one script and one executable, both of which a host can start [pkg:bundle:one-file]', async () => {
    const { script, executable = '', inputs } = await bundled({ flags: ['--v8-pool-size=1'] })
    expect(inputs).toContain('main.ts')
    expect(existsSync(join(executable, '..', '.sea-small'))).toBe(false)
    const alone = join(newFolder(), 'small')
    copyFileSync(executable, alone)
    for (const command of [script, alone]) {
      const env = { NODE_OPTIONS: command === alone ? '--no-such-flag' : undefined }
      const plugin = await launchPlugin({ command, cookie: COOKIE, env, autoMtls: true })
      expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
      const flags =
        command === alone ? '--v8-pool-size=1 --disable-sigusr1 --no-warnings --openssl-config=/dev/null' : ''
      expect(plugin.logs).toMatchObject([{ level: 'info', message: 'Serving', fields: { flags } }])
      expect(execFileSync(command, ['--version'], { encoding: 'utf8' })).toBe('small 1.2.3\n')
    }
  })

  it('gives the same bytes again, in another folder [pkg:bundle:reproducible]', async () => {
    const [first, second] = [await bundled(), await bundled()]
    expect(sha256(second.script)).toBe(sha256(first.script))
    expect(sha256(second.executable ?? '')).toBe(sha256(first.executable ?? ''))
  })

  it('replaces an executable that runs', async () => {
    const { executable = '' } = await bundled()
    const folder = join(executable, '../..')
    const plugin = await launchPlugin({ command: executable, cookie: COOKIE })
    onTestFinished(async () => void (await plugin.kill()))
    await bundlePlugin({ folder, entry: 'main.ts', out: 'dist/small', version: '1.2.4' })
    expect(execFileSync(executable, ['--version'], { encoding: 'utf8' })).toBe('small 1.2.4\n')
    expect(await plugin.shutdown()).toMatchObject({ code: 0 })
  })

  it('leaves it at the script when no executable is wanted', async () => {
    const { script, executable } = await bundled({ executable: false, script: 'small.cjs' })
    expect(executable).toBeUndefined()
    expect(spawnSync(script, ['--version'], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: 'small 1.2.3\n' })
    expect(existsSync(join(script, '../dist/small'))).toBe(false)
  })

  it('says which Node cannot make executables', async () => {
    await expect(bundled({ builder: '/bin/false' })).rejects.toThrow(
      '/bin/false cannot make an executable, Node.js 25.5',
    )
  })
})
