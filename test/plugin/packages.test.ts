/**
 * The two packages as their users meet them: packed, installed in an empty folder, and tried with the oldest and the
 * newest Node they support.
 *
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PackedPackage, packAll } from '../../scripts/release/npm-packages.ts'
import { fetchNode } from '../../scripts/release/pinned-node.ts'

const root = resolve(import.meta.dirname, '..', '..')
const bin = (name: string): string => join(root, 'node_modules/.bin', name)
const work = mkdtempSync(join(tmpdir(), 'packages-'))
const consumer = join(work, 'consumer')
let packages: readonly PackedPackage[] = []

/** The first release of the oldest line that `engines` allows, by processor. */
const OLDEST: Readonly<Record<string, string>> = {
  x64: 'sha512-FP9r5Jp+/frkN6VJ6I1cyRFED54HRTPnijfiL50y1YUF6X25HrCziH1Jsk0/mB7rbs+ieyJAgKG62HN+l9Z1fw==',
  arm64: 'sha512-SEOczmwk0islSy7Ggwh0uloYWErgNfcxwcHlMES5LM/y82RKAWDHMyHq2WiY6hF2JKOYVk7mMO119bRzlzvD6g==',
}

const STRICT = {
  compilerOptions: {
    target: 'es2024',
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
    rewriteRelativeImportExtensions: true,
    outDir: 'built',
    rootDir: '.',
  },
  include: ['*.ts', 'examples'],
}

beforeAll(() => {
  packages = packAll(join(work, 'npm'))
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify(STRICT))
  const types = `@types/node@${lockedVersion('@types/node')}`
  const install = ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund']
  execFileSync('npm', [...install, ...packages.map(({ tarball }) => tarball), types], { cwd: consumer, stdio: 'pipe' })
  for (const [name, code] of snippets()) writeFileSync(join(consumer, name), code)
  writeFileSync(join(consumer, 'doors.ts'), doors())
  // As an author would start: with a copy of the examples.
  const sdk = join(consumer, 'node_modules/@tower-of-omens/spire-sdk')
  cpSync(join(sdk, 'examples'), join(consumer, 'examples'), { recursive: true })
}, 300_000)

afterAll(() => rmSync(work, { recursive: true, force: true }))

function lockedVersion(name: string): string {
  const manifest = join(root, 'node_modules', name, 'package.json')
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}

/** Takes each TypeScript snippet of the packages' pages, under the name its page gives it or one of our own. */
function snippets(): [string, string][] {
  const pages = packages.flatMap(({ folder }) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  )
  return pages.flatMap((page) => {
    const blocks = [...readFileSync(page, 'utf8').matchAll(/(?:`([a-z-]+\.ts)`[^`]*)?\n```ts\n(.*?)```/gs)]
    const stem = `${basename(resolve(page, '..'))}-${basename(page, '.md').toLowerCase()}`
    return blocks.map(([, name, code = ''], index): [string, string] => [name ?? `${stem}-${index}.ts`, code])
  })
}

/** A module that imports every door of every package. */
function doors(): string {
  const names = packages.flatMap(({ name, folder }) => {
    const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { exports: object }
    return Object.keys(exports).map((door) => name + door.slice(1))
  })
  return names
    .filter((name) => !name.endsWith('.json'))
    .map(
      (name, index) =>
        `import * as door${index} from '${name}'\nexport const names${index} = Object.keys(door${index})\n`,
    )
    .join('')
}

describe('each package', () => {
  it('is clean to publint [pkg:npm:publint]', async () => {
    expect(packages.map(({ name }) => name)).toEqual(['@tower-of-omens/go-plugin', '@tower-of-omens/spire-sdk'])
    for (const { folder } of packages) {
      const { messages, pkg } = await publint({ pkgDir: folder, strict: true })
      expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
    }
  })

  it('gives every door types that resolve as its code does [pkg:npm:types]', () => {
    for (const { tarball } of packages) {
      const { status, stdout } = spawnSync(bin('attw'), ['--profile', 'esm-only', tarball], { encoding: 'utf8' })
      expect({ status, stdout }).toMatchObject({ status: 0 })
    }
  })

  it('holds code, pages and licence, and nothing of the checkout [pkg:npm:contents]', () => {
    for (const { tarball } of packages) {
      const files = execFileSync('tar', ['tzf', tarball], { encoding: 'utf8' }).trim().split('\n')
      expect(files).toEqual(expect.arrayContaining(['package/package.json', 'package/README.md', 'package/LICENSE']))
      expect(
        files.filter((file) => !/\.(js|d\.ts|md|json)$|LICENSE$|\/examples\/[a-z-]+\/[a-z.]+\.ts$/.test(file)),
      ).toEqual([])
    }
  })

  it('asks for the Node it was tried with', () => {
    for (const { folder } of packages) {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
      expect(manifest).toMatchObject({ type: 'module', engines: { node: '>=22' }, sideEffects: false })
      expect(manifest).not.toHaveProperty('private')
    }
  })
})

describe('in an empty folder', () => {
  it('every door and every snippet type-checks strictly, with its libraries [pkg:npm:strict-consumer]', () => {
    const { status, stdout } = spawnSync(bin('tsc'), ['-p', consumer], { encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(readdirSync(join(consumer, 'built'))).toEqual(
      expect.arrayContaining(['hello.js', 'shared-word.js', 'try.js']),
    )
  })

  it.each(['22.0.0', process.versions.node])(
    "the READMEs' plugins and every example work under Node %s [pkg:npm:oldest-and-newest-node]",
    { timeout: 180_000 },
    (version) => {
      const folder = join(consumer, `run-${version}`)
      cpSync(join(consumer, 'built'), folder, { recursive: true })
      for (const name of globSync('*.js', { cwd: folder })) {
        // What the compiler leaves alone: names of files in texts.
        const code = readFileSync(join(folder, name), 'utf8').replaceAll(/'([a-z-]+)\.ts'/g, "'$1.js'")
        writeFileSync(join(folder, name), code)
      }
      const run = (...args: string[]) =>
        spawnSync(nodeOf(version), args, { cwd: folder, encoding: 'utf8', timeout: 60_000 })
      const attested = run('try.js')
      expect(attested).toMatchObject({ status: 0, stderr: '' })
      expect(attested.stdout).toContain("spiffeId: 'spiffe://example.org/spire/agent/shared_word/node-1'")
      expect(run('host.js')).toMatchObject({ status: 0, stderr: '', stdout: 'hello world\n' })
      expect(run('doors.js')).toMatchObject({ status: 0, stdout: '', stderr: '' })
      const tests = globSync('examples/*/plugin.test.js', { cwd: folder })
      expect(tests).toHaveLength(10)
      expect(run('--test', ...tests)).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/# pass 13\n# fail 0|ℹ pass 13\nℹ fail 0/) as string,
      })
    },
  )
})

function nodeOf(version: string): string {
  if (version === process.versions.node) return process.execPath
  const integrity = OLDEST[process.arch]
  if (integrity === undefined) throw new Error(`no Node ${version} is pinned for ${process.arch}`)
  return fetchNode({ name: `node-linux-${process.arch}`, version, integrity })
}
