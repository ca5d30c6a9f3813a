/**
 * Our messages of SPIRE's plugins beside those of its plugin SDK, in the Go module that the judges are built with.
 *
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const protoc = join(root, 'node_modules/.bin/protoc')
const OURS = join(root, 'proto')
const work = mkdtempSync(join(tmpdir(), 'protos-'))
const MODULE = 'github.com/spiffe/spire-plugin-sdk'

afterAll(() => rmSync(work, { recursive: true }))

/** Finds the module's folder in Go's cache; `undefined` when there is no Go, or nobody has built the judges yet. */
function moduleFolder(): string | undefined {
  const go = spawnSync('go', ['env', 'GOMODCACHE'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/local/go/bin` },
  })
  const pinned = readFileSync(join(import.meta.dirname, 'judges/go.mod'), 'utf8')
  const version = new RegExp(`${MODULE} (v\\S+)`).exec(pinned)?.[1] ?? ''
  const folder = join(go.stdout.trim(), `${MODULE}@${version}`)
  return go.status === 0 && existsSync(folder) ? folder : undefined
}

/**
 * Describes every message and service of a file, as the compiler understands them: names, numbers, types, oneofs, rpcs.
 *
 * @param file Relative to one of them.
 */
function described(folders: readonly string[], file: string): string {
  const paths = folders.flatMap((folder) => ['--proto_path', folder])
  const set = join(work, 'set.binpb')
  execFileSync(protoc, [...paths, `--descriptor_set_out=${set}`, file])
  const include = join(dirname(protoc), '../protoc/include')
  const decode = [
    '--proto_path',
    include,
    '--decode=google.protobuf.FileDescriptorSet',
    'google/protobuf/descriptor.proto',
  ]
  const text = execFileSync(protoc, decode, { input: readFileSync(set), encoding: 'utf8' })
  // Options name packages of the Go code, and dependencies are a matter of layout.
  return text
    .replaceAll(/^( *)options \{\n(?:\1 .*\n)*\1\}\n/gm, '')
    .split('\n')
    .filter((line) => !/^ {2}(dependency|name|syntax):/.test(line))
    .join('\n')
}

const folder = moduleFolder()
const theirs =
  folder === undefined ? [] : [join(folder, 'proto'), join(folder, 'internal/proto')].filter((each) => existsSync(each))
const files = globSync('spire/{plugin,service,hostservice}/**/*.proto', { cwd: OURS }).toSorted()
const skipped = folder === undefined ? ` (skipped: ${MODULE} is not in Go's module cache)` : ''

describe.skipIf(folder === undefined)(`our .proto files${skipped}`, () => {
  it('are all of the SDK', () => {
    expect(files.length).toBeGreaterThan(15)
    const missing = theirs
      .flatMap((each) => globSync('**/*.proto', { cwd: each }))
      .filter((file) => !files.includes(file))
    expect(missing).toEqual([])
  })

  it.each(files)('%s says what the SDK says [sdk:proto:as-spire]', (file) => {
    expect(described([OURS], file)).toBe(described(theirs, file))
  })
})
