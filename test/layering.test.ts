import { readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { beginsWrongly, docstringsOf } from './docstrings.ts'
import { circlesOf } from './import-circles.ts'
import { filesOf, importsOf } from './source-files.ts'

const root = resolve(import.meta.dirname, '..')

const NAMESPACE = '@tower-of-omens/'

/** Which room may import which: the arrows of CONTRIBUTING.md. `node:` is open to all, and a room to itself. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'plugins/go-plugin': ['@bufbuild/protobuf', '@grpc/grpc-js', 'esbuild'],
  'plugins/spire-sdk': ['plugins/go-plugin', '@bufbuild/protobuf', '@grpc/grpc-js'],
  'plugins/tpm': [],
  'plugins/tpm-device': ['plugins/tpm'],
  'plugins/keylime': ['plugins/tpm', 'undici', 'valibot'],
  'plugins/spire-api': ['@bufbuild/protobuf', '@grpc/grpc-js'],
  'plugins/gate': ['plugins/keylime'],
  'server-attestor': ['plugins/spire-sdk', 'plugins/keylime', 'plugins/gate', 'plugins/tpm'],
  'bundle-publisher-keeper': ['plugins/spire-sdk'],
  'key-manager-tpm': ['plugins/spire-sdk', 'plugins/tpm', 'plugins/tpm-device'],
  'agent-attestor': ['plugins/spire-sdk', 'plugins/keylime', 'plugins/gate', 'plugins/tpm', 'plugins/tpm-device'],
  operator: [
    'plugins/spire-sdk',
    'plugins/keylime',
    'plugins/gate',
    'plugins/spire-api',
    'plugins/tpm',
    'plugins/tpm-device',
    'server-attestor',
    'agent-attestor',
    'commander',
    'prom-client',
    'smol-toml',
    'valibot',
  ],
}

interface Manifest {
  readonly exports?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const sources = Object.keys(ARROWS).flatMap((room) => filesOf(join(root, room)).map((path) => ({ room, path })))

describe('the rooms', () => {
  it('import only along the arrows', () => {
    const wrong = sources.flatMap(({ room, path }) =>
      importsOf(path)
        .map((specifier) => ({ specifier, target: roomOf(path, specifier) }))
        .filter(({ target }) => target !== 'node:' && target !== room && !(ARROWS[room] ?? []).includes(target))
        .map(({ specifier }) => `${relative(root, path)} imports ${specifier}`),
    )
    expect(wrong).toEqual([])
  })

  it('enter each other by their doors: a package name, never a path', () => {
    const wrong = sources.flatMap(({ room, path }) =>
      importsOf(path)
        .filter((specifier) => specifier.startsWith('.') && roomOf(path, specifier) !== room)
        // The operator's tool reads the plugins' configuration as they do; nothing else of theirs.
        .filter((specifier) => room !== 'operator' || !specifier.endsWith('-attestor/config.ts'))
        .map((specifier) => `${relative(root, path)} imports ${specifier}`),
    )
    expect(wrong).toEqual([])
  })

  it('leave changes at Keylime to others than the plugins, which import the reading clients alone', () => {
    const writing = sources.filter(
      ({ room, path }) => room.endsWith('-attestor') && importsOf(path).includes(`${NAMESPACE}keylime/admin`),
    )
    expect(writing.map(({ path }) => relative(root, path))).toEqual([])
  })

  it('name as dependencies of their package what they import, and nothing else', () => {
    const packages = Object.keys(ARROWS).filter((room) => room.startsWith('plugins/'))
    const differing = packages.flatMap((room) => {
      const targets = filesOf(join(root, room)).flatMap((path) => importsOf(path).map((each) => roomOf(path, each)))
      const imported = new Set(targets.filter((target) => target !== 'node:' && target !== room))
      const names = [...imported].map((target) => target.replace(/^plugins\//, NAMESPACE)).toSorted()
      const { dependencies, peerDependencies } = JSON.parse(
        readFileSync(join(root, room, 'package.json'), 'utf8'),
      ) as Manifest
      const declared = Object.keys({ ...dependencies, ...peerDependencies }).toSorted()
      return names.join() === declared.join() ? [] : [`${room} imports ${names.join()}, declares ${declared.join()}`]
    })
    expect(differing).toEqual([])
  })

  it('hold every source file of plugins/, the programs and the operator', () => {
    const placed = new Set(sources.map(({ path }) => path))
    const all = [
      'plugins',
      'server-attestor',
      'agent-attestor',
      'bundle-publisher-keeper',
      'key-manager-tpm',
      'operator',
    ].flatMap((folder) => filesOf(join(root, folder)))
    expect(all.filter((path) => !placed.has(path)).map((path) => relative(root, path))).toEqual([])
  })

  it('hold no circle of imports, types included', () => {
    const ours = new Map(
      sources.map(({ path }) => [path, importsOf(path).flatMap((specifier) => fileOf(path, specifier) ?? [])]),
    )
    expect(circlesOf(ours).map((circle) => circle.map((path) => relative(root, path)))).toEqual([])
  })

  it('load undici only after the handshake, so no module imports its values at the top', () => {
    const eager = sources.filter(({ path }) =>
      /^import (?!type )(?:(?! from )[^;])*? from 'undici'/m.test(readFileSync(path, 'utf8')),
    )
    expect(eager.map(({ path }) => relative(root, path))).toEqual([])
  })
})

describe('circlesOf', () => {
  it('finds files that import each other in a loop, and nothing beside', () => {
    const imports = new Map([
      ['roof', ['a', 'ground']],
      ['a', ['b']],
      ['b', ['c', 'ground']],
      ['c', ['a']],
      ['self', ['self']],
      ['ground', ['elsewhere']],
    ])
    expect(circlesOf(imports)).toEqual([['a', 'b', 'c'], ['self']])
  })
})

describe('every source file', () => {
  const ours = sources.filter(({ path }) => !path.includes('/gen/'))

  it('is named in kebab case for what it holds', () => {
    const odd = ours.filter(
      ({ path }) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(path.slice(path.lastIndexOf('/') + 1)),
    )
    const vague = ours.filter(({ path }) => /\/(utils?|common|misc|types|helpers?)(\.ts|\/)/.test(path))
    expect([...odd, ...vague].map(({ path }) => relative(root, path))).toEqual([])
  })

  it('begins the docstring of a function with a verb, and that of a type, a constant and a module with a noun', () => {
    const wrong = ours.flatMap(({ path }) =>
      docstringsOf(path)
        .filter(beginsWrongly)
        .map(({ line, word }) => `${relative(root, path)}:${line} begins with "${word}"`),
    )
    expect(wrong).toEqual([])
  })

  it('documents each export', () => {
    expect(ours.flatMap(({ path }) => undocumentedExports(path))).toEqual([])
  })
})

function roomOf(importer: string, specifier: string): string {
  if (specifier.startsWith('node:')) return 'node:'
  if (specifier.startsWith(NAMESPACE)) return `plugins/${specifier.slice(NAMESPACE.length).split('/')[0] ?? ''}`
  if (!specifier.startsWith('.'))
    return specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
  const target = relative(root, resolve(dirname(importer), specifier))
  return Object.keys(ARROWS).find((room) => target.startsWith(`${room}/`)) ?? target
}

/** Finds the file behind an import; a package's name stands for its door. */
function fileOf(importer: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return resolve(dirname(importer), specifier)
  if (!specifier.startsWith(NAMESPACE)) return undefined
  const [room = '', ...door] = specifier.slice(NAMESPACE.length).split('/')
  const { exports } = JSON.parse(readFileSync(join(root, 'plugins', room, 'package.json'), 'utf8')) as Manifest
  const target = exports?.[door.length === 0 ? '.' : `./${door.join('/')}`]
  return target === undefined ? undefined : resolve(root, 'plugins', room, target)
}

function undocumentedExports(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  const declaration = /^export (?:async |abstract |declare )?(?:function\*?|const|class|interface|type) ([A-Za-z0-9_]+)/
  return lines.flatMap((line, index) => {
    const name = declaration.exec(line)?.[1]
    const overload = (lines[index - 1] ?? '').startsWith('export function ')
    const documented = (lines[index - 1] ?? '').trimEnd().endsWith('*/')
    return name === undefined || documented || overload ? [] : [`${relative(root, path)}: ${name}`]
  })
}
