import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, it } from 'vitest'
import { withoutDebugSections } from '../../plugins/go-plugin/bundle/slim-elf.ts'

const root = resolve(import.meta.dirname, '..', '..')
const dist = process.env['TOWER_DIST'] ?? join(root, 'dist')
const HALVES = ['keylime-attestor-server', 'keylime-attestor-agent'] as const
const work = mkdtempSync(join(tmpdir(), 'tower-executables-'))

afterAll(() => rmSync(work, { recursive: true, force: true }))

it.each([...HALVES, 'towerkeep', 'bundle-publisher-keeper', 'key-manager-tpm'])(
  '%s takes 118 MB at most [pkg:executable:slim]',
  (name) => expect(statSync(join(dist, name)).size).toBeLessThanOrEqual(118_000_000),
)

describe.each(HALVES)('%s', (half) => {
  const file = join(dist, half)

  it('is one file that runs without node_modules or a Node.js on the machine', async () => {
    const alone = join(mkdtempSync(join(work, 'alone-')), half)
    copyFileSync(file, alone)
    const plugin = start(alone, { PATH: '' })
    expect(await plugin.line).toMatch(/^1\|1\|unix\|[^|]+\|grpc\|$/)
    await plugin.stop()
  })

  it('prints nothing to stdout and says how to use it when run by hand [C01] [T94]', () => {
    const run = spawnSync(file, [], { env: {}, encoding: 'utf8' })
    expect({ stdout: run.stdout, status: run.status }).toEqual({ stdout: '', status: 1 })
    expect(run.stderr).toContain('plugin')
    expect(run.stderr).toContain('spire')
  })

  it('prints its version, and nothing else, when a person asks [pkg:executable:version]', () => {
    const run = spawnSync(file, ['--version'], { env: {}, encoding: 'utf8' })
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    expect(run).toMatchObject({ stdout: `${half} ${version}\n`, stderr: '', status: 0 })
  })

  it('carries no debug sections [pkg:executable:slim]', () => {
    const program = readFileSync(file)
    // Nothing but the names of sections is left to drop.
    expect(program.length - withoutDebugSections(program).length).toBeLessThan(4096)
  })

  it('ignores NODE_OPTIONS [process:code:own-alone]', async () => {
    const evil = join(work, `evil-${half}.cjs`)
    const mark = join(work, `mark-${half}`)
    writeFileSync(evil, `require('node:fs').writeFileSync(${JSON.stringify(mark)}, 'ran')`)
    const plugin = start(file, { NODE_OPTIONS: `--require ${evil}` })
    expect(await plugin.line).toMatch(/^1\|1\|unix\|/)
    await plugin.stop()
    expect(existsSync(mark)).toBe(false)
  })

  it('reads no settings of OpenSSL, which can name modules to load [process:code:own-alone]', async () => {
    const settings = join(work, `openssl-${half}.cnf`)
    // Under these no random number can be had, and Node.js ends at once.
    const lines = ['nodejs_conf = n', '[n]', 'alg_section = e', '[e]', 'default_properties = fips=yes']
    writeFileSync(settings, lines.join('\n'))
    const plugin = start(file, { OPENSSL_CONF: settings })
    expect(await plugin.line).toMatch(/^1\|1\|unix\|/)
    await plugin.stop()
  })

  it('lives through SIGHUP, as a plugin in Go under nohup [process:signals:host-lives]', async () => {
    const plugin = start(file, {})
    const socket = (await plugin.line).split('|')[3] ?? ''
    plugin.child.kill('SIGHUP')
    const connection = connect(socket)
    await once(connection, 'connect')
    connection.on('error', () => undefined).destroy()
    expect(plugin.child.exitCode).toBeNull()
    await plugin.stop()
  })

  it('says, as the script, which Node.js it needs, and fails [process:start:reason]', () => {
    const older = join(work, `older-${half}.cjs`)
    const versions = `{ value: { ...process.versions, node: '20.20.2' } }`
    writeFileSync(older, `Object.defineProperty(process, 'versions', ${versions})`)
    const run = spawnSync(process.execPath, ['--require', older, `${file}.cjs`], {
      env: { NodeAttestor: 'NodeAttestor' },
      encoding: 'utf8',
    })
    expect({ stdout: run.stdout, status: run.status }).toEqual({ stdout: '', status: 1 })
    expect(JSON.parse(run.stderr)).toEqual({
      '@level': 'error',
      '@message': `${half} needs Node.js 22.19 or newer, this is ${process.version}`,
    })
  })

  it('opens no inspector on SIGUSR1', async () => {
    const plugin = start(file, {})
    const socket = (await plugin.line).split('|')[3] ?? ''
    plugin.child.kill('SIGUSR1')
    plugin.child.kill('SIGUSR2')
    plugin.child.kill('SIGINT')
    // A connection that it accepts after the signals shows that it has seen them.
    const connection = connect(socket)
    await once(connection, 'connect')
    connection.on('error', () => undefined).destroy()
    expect(listeningTcp(plugin.child.pid)).toEqual([])
    expect(plugin.child.exitCode).toBeNull()
    await plugin.stop()
  })

  it.skipIf(process.getuid?.() !== 0)(
    'runs where only its socket folder can be written (skipped without root: needs a mount namespace)',
    async () => {
      const sockets = mkdtempSync(join(work, 'sockets-'))
      const script = [
        `mount --bind ${sockets} ${sockets}`,
        'mount -o remount,ro,bind /',
        `mount -o remount,rw,bind ${sockets}`,
        `exec env TMPDIR=${sockets} ${file}`,
      ]
      const plugin = start('unshare', {}, ['--mount', 'sh', '-ec', script.join('\n')])
      expect(await plugin.line).toContain(`|unix|${sockets}/`)
      await plugin.stop()
    },
  )
})

describe('make build', () => {
  it('gives the same bytes twice, also from another folder [T46] [P16]', () => {
    const sums = [join(work, 'first'), join(work, 'second', 'deeper')].map((out) => {
      execFileSync(process.execPath, [join(root, 'scripts/build.ts'), '--out', out], { stdio: 'pipe' })
      return HALVES.flatMap((half) => [half, `${half}.cjs`]).map((name) => `${sha256(join(out, name))}  ${name}`)
    })
    expect(sums[1]).toEqual(sums[0])
    for (const folder of ['first', 'second']) rmSync(join(work, folder), { recursive: true, force: true })
  })

  it('lists the sums of what it built', () => {
    const sums = readFileSync(join(dist, 'SHA256SUMS'), 'utf8').trim().split('\n')
    const listed = sums.map((line) => line.split('  ') as [string, string])
    expect(listed.map(([, name]) => name)).toEqual(expect.arrayContaining([...HALVES]))
    expect(listed.map(([, name]) => [sha256(join(dist, name)), name])).toEqual(listed)
  })

  it('bundles only the run-time dependencies and what they need', () => {
    const bundled = JSON.parse(readFileSync(join(dist, 'bundled-modules.json'), 'utf8')) as string[]
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { readonly dependencies?: Record<string, string> } | undefined>
    }
    // The rooms are workspaces; what they need of each other is no package of another's.
    const rooms = Object.keys(packages).filter((path) => !path.startsWith('node_modules/'))
    const dependencies = rooms
      .flatMap((path) => Object.keys(packages[path]?.dependencies ?? {}))
      .filter((name) => !name.startsWith('@tower-of-omens/'))
    const needed = new Set(dependencies)
    // A set grows while it is walked.
    for (const name of needed) {
      for (const inner of Object.keys(packages[`node_modules/${name}`]?.dependencies ?? {})) needed.add(inner)
    }
    expect(bundled.filter((name) => !needed.has(name))).toEqual([])
    expect(bundled).toEqual(expect.arrayContaining(dependencies))
  })
})

interface StartedPlugin {
  readonly child: ReturnType<typeof spawn>
  readonly line: Promise<string>
  stop(): Promise<void>
}

function start(file: string, env: NodeJS.ProcessEnv, args: readonly string[] = []): StartedPlugin {
  const sockets = mkdtempSync(join(work, 'tmp-'))
  mkdirSync(sockets, { recursive: true })
  const path = file.startsWith('/') ? {} : { PATH: process.env['PATH'] }
  const child = spawn(file, args, {
    env: { NodeAttestor: 'NodeAttestor', PLUGIN_PROTOCOL_VERSIONS: '1', TMPDIR: sockets, ...path, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const errors: string[] = []
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => errors.push(chunk))
  const lines = createInterface({ input: child.stdout ?? process.stdin })
  const line = new Promise<string>((done, fail) => {
    lines.once('line', done)
    child.once('exit', (code) => fail(new Error(`exited with ${code} before the handshake: ${errors.join('')}`)))
  })
  line.catch(() => undefined)
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { child, line, stop }
}

/** Reads the TCP ports a process listens on, from its socket inodes and the kernel's tables. */
function listeningTcp(pid: number | undefined): string[] {
  const fds = `/proc/${pid}/fd`
  const inodes = new Set(readdirSync(fds).map((fd) => inodeOf(join(fds, fd))))
  const rows = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1),
  )
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && inodes.has(fields[9] ?? ''))
    .map((fields) => fields[1] ?? '')
}

function inodeOf(path: string): string {
  try {
    return String(statSync(path).ino)
  } catch {
    return ''
  }
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
