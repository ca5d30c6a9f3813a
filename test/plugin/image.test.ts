import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AGENT_SCHEMA } from '../../agent-attestor/schema.ts'
import { decodeConfig } from '../../plugins/spire-sdk/hcl/index.ts'
import { buildImage } from '../../scripts/release/image/image.ts'
import { unpackLibraries } from '../../scripts/release/image/parts.ts'
import { SERVER_SCHEMA } from '../../server-attestor/schema.ts'

interface Descriptor {
  readonly digest: string
  readonly size: number
}

const root = resolve(import.meta.dirname, '..', '..')
const dist = join(root, 'dist')
const HALVES = ['keylime-attestor-server', 'keylime-attestor-agent'] as const
const work = mkdtempSync(join(tmpdir(), 'tower-image-test-'))
const layout = join(work, 'image')
const empty = join(work, 'root')
const missing = whatIsMissing()

afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.skipIf(missing !== '')(`the image${missing}`, () => {
  let digest = ''
  let sums = ''

  beforeAll(() => {
    const built = buildImage(dist, layout)
    digest = built.digest
    sums = built.sums
    mkdirSync(join(empty, 'tmp'), { recursive: true })
    execFileSync('tar', ['xzf', blobPath(manifest().layers[0]), '-C', empty])
  }, 300_000)

  it('is a layout that holds what its digests say [pkg:image:layout]', () => {
    const { config, layers } = manifest()
    expect(index().manifests.map((one) => one.digest)).toEqual([digest])
    const blobs = [...index().manifests, config, ...layers]
    expect(blobs.map((one) => [digestOf(readFileSync(blobPath(one))), statSync(blobPath(one)).size])).toEqual(
      blobs.map((one) => [one.digest, one.size]),
    )
    expect(readdirSync(join(layout, 'blobs/sha256')).length).toBe(blobs.length)
    const { rootfs } = read(blobPath(config)) as { rootfs: { diff_ids: string[] } }
    expect(layers.map((one) => digestOf(gunzipSync(readFileSync(blobPath(one)))))).toEqual(rootfs.diff_ids)
    expect(read(join(layout, 'oci-layout'))).toEqual({ imageLayoutVersion: '1.0.0' })
  })

  it('holds the folder and nothing else, and the sums of what is in it [pkg:image:layout]', () => {
    expect(readdirSync(empty).toSorted()).toEqual(['plugins', 'tmp'])
    expect(readdirSync(join(empty, 'plugins')).toSorted()).toEqual(
      ['SHA256SUMS', ...HALVES.toReversed(), 'lib', 'licences'].toSorted(),
    )
    expect(readFileSync(join(empty, 'plugins/SHA256SUMS'), 'utf8')).toBe(sums)
    const files = [...HALVES, ...readdirSync(join(empty, 'plugins/lib')).map((name) => `lib/${name}`)]
    expect(sums.trim().split('\n')).toEqual(
      expect.arrayContaining(
        files.map((file) => `${digestOf(readFileSync(join(empty, 'plugins', file))).slice(7)}  ${file}`),
      ),
    )
    expect(sums.trim().split('\n').length).toBe(files.length)
    const licences = ['GPL-3', 'LGPL-2.1', 'gcc-12-base', 'libc6', 'tower-of-omens']
    expect(readdirSync(join(empty, 'plugins/licences')).toSorted()).toEqual(licences)
  })

  it.each(HALVES)('brings %s into a root that holds nothing else [pkg:image:empty-root]', async (half) => {
    expect(await handshake(`/plugins/${half}`)).toMatch(/^1\|1\|unix\|\/tmp\/[^|]+\|grpc\|$/)
    const asked = spawnSync('chroot', [empty, `/plugins/${half}`, '--version'], { env: cleanPath(), encoding: 'utf8' })
    expect(asked).toMatchObject({ status: 0, stderr: '' })
    expect(asked.stdout).toMatch(new RegExp(`^${half} \\d`))
  })

  it('is needed: the program as built does not start there [pkg:image:empty-root]', () => {
    const plain = join(empty, 'tmp', HALVES[0])
    copyFileSync(join(dist, HALVES[0]), plain)
    const run = spawnSync('chroot', [empty, `/tmp/${HALVES[0]}`, '--version'], { env: cleanPath(), encoding: 'utf8' })
    rmSync(plain)
    expect(run).toMatchObject({ status: 127, stdout: '' })
    expect(run.stderr).toContain('No such file or directory')
  })

  it('has the same digest when built again, elsewhere and under another mask [pkg:image:reproducible]', () => {
    const again = join(work, 'again', 'deeper')
    const script = `umask 077; exec ${process.execPath} ${join(root, 'scripts/image.ts')} --dist ${dist} --out ${again}`
    const printed = execFileSync('sh', ['-c', script], { encoding: 'utf8', env: { ...process.env, TZ: 'Asia/Tokyo' } })
    expect(printed).toBe(`${sums}${digest}  ${again}\n`)
    expect(readFileSync(join(again, 'index.json'), 'utf8')).toBe(readFileSync(join(layout, 'index.json'), 'utf8'))
  }, 300_000)
})

describe('the example for Helm', () => {
  const values = readFileSync(join(root, 'packaging/helm/values.yaml'), 'utf8')
  const decoded = {
    'spire-server': (hcl: string) => decodeConfig(hcl, SERVER_SCHEMA),
    'spire-agent': (hcl: string) => decodeConfig(hcl, AGENT_SCHEMA),
  }

  it.each(['spire-server', 'spire-agent'] as const)(
    'starts %s with settings it accepts [pkg:image:helm-values]',
    (part) => {
      const section = new RegExp(`^${part}:\\n((?: .*\\n|\\n|#.*\\n)*)`, 'm').exec(values)?.[1] ?? ''
      const half = part.replace('spire-', 'keylime-attestor-')
      expect(section).toContain(`plugin_cmd: /plugins/${half}\n`)
      expect(section).toContain('- name: attestors\n      mountPath: /plugins\n')
      const data = /plugin_data:\n((?: {10}.*\n)+)/.exec(section)?.[1] ?? ''
      const hcl = data.replace(/^ +(\w+): /gm, '$1 = ')
      const { problems, warnings } = decoded[part](hcl)
      expect(data).not.toBe('')
      expect([...problems, ...warnings].map(String)).toEqual([])
    },
  )
})

/** Says why there is no image to try, in words for a title. */
function whatIsMissing(): string {
  if (process.getuid?.() !== 0) return ' (skipped without root: needs chroot)'
  if (process.arch !== 'x64') return ' (skipped: built on x64 alone)'
  try {
    unpackLibraries(mkdtempSync(join(work, 'libraries-')))
    return ''
  } catch {
    return ' (skipped: its Debian packages cannot be fetched)'
  }
}

async function handshake(program: string): Promise<string> {
  const child = spawn('chroot', [empty, program], {
    env: { ...cleanPath(), NodeAttestor: 'NodeAttestor', PLUGIN_PROTOCOL_VERSIONS: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const first = once(lines, 'line').then(([line]) => String(line))
  const line = await Promise.race([first, ended.then(([code]) => `ended with ${code}`)])
  child.kill('SIGKILL')
  await ended
  return line
}

function cleanPath(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] }
}

function index(): { readonly manifests: readonly Descriptor[] } {
  return read(join(layout, 'index.json')) as ReturnType<typeof index>
}

function manifest(): { readonly config: Descriptor; readonly layers: readonly Descriptor[] } {
  return read(blobPath(index().manifests[0])) as ReturnType<typeof manifest>
}

function blobPath(one: Descriptor | undefined): string {
  return join(layout, 'blobs', one?.digest.replace(':', '/') ?? '')
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
