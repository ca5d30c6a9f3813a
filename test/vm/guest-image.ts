/**
 * A guest with a TPM: Debian's kernel, one folder with this Node and one program, and nothing else.
 *
 * @module
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { build } from 'esbuild'
import { cacheDir } from '../lab/parts/cache.ts'

/** What a guest needs of the machine. */
export interface GuestParts {
  readonly qemu: string
  readonly busybox: string
  readonly kernel: string
}

/** What a guest is to run. */
export interface GuestImage {
  /** Source of the program it starts. */
  readonly program: string
  /** Executables that it finds in /bin. */
  readonly programs?: readonly string[]
  /** Files that it finds, by absolute path. */
  readonly files?: ReadonlyMap<string, Buffer>
  /** Its memory, which holds the files too; default 1536 MB. */
  readonly memoryMb?: number
}

const KERNEL_FOLDER = 'guest-kernel'
const GUEST_LIMIT_MS = 420_000
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox ip link set lo up
cd /app && /bin/node guest.mjs 2>&1
/bin/busybox poweroff -f
`

/**
 * Finds the parts; the kernel is fetched from Debian into the cache where apt-get can.
 *
 * @returns The parts, or the names of what is missing.
 */
export function guestParts(): GuestParts | { readonly missing: readonly string[] } {
  const qemu = which('qemu-system-x86_64')
  const busybox = staticBusybox()
  const swtpm = which('swtpm')
  const cannot = [
    qemu === undefined ? 'qemu-system-x86' : undefined,
    busybox === undefined ? 'busybox-static' : undefined,
    swtpm === undefined ? 'swtpm' : undefined,
    process.arch === 'x64' ? undefined : 'a machine of type x86-64',
  ].filter((name) => name !== undefined)
  if (qemu === undefined || busybox === undefined || cannot.length > 0) return { missing: cannot }
  const kernel = kernelOf(join(cacheDir(), KERNEL_FOLDER))
  return kernel === undefined ? { missing: ['linux-image-cloud-amd64'] } : { qemu, busybox, kernel }
}

/**
 * Boots the guest once, with a TPM of its own.
 *
 * @param parts What it is made of.
 * @param image What it runs.
 * @returns Its findings by name: lines `VM {"finding": ..., "value": ...}` of its console.
 * @throws {Error} It did not power off in time.
 */
export async function runGuest(parts: GuestParts, image: GuestImage): Promise<ReadonlyMap<string, unknown>> {
  const dir = mkdtempSync(join(tmpdir(), 'tower-vm-'))
  try {
    const initrd = await packInitrd(dir, parts, image)
    mkdirSync(join(dir, 'tpm'))
    const socket = join(dir, 'control.sock')
    const args = [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${join(dir, 'tpm')}`,
      '--ctrl',
      `type=unixio,path=${socket}`,
      '--terminate',
    ]
    const tpm = spawn('swtpm', args, { stdio: 'ignore' })
    try {
      await untilThere(socket)
      return findingsIn(await boot(parts, { initrd, socket, memoryMb: image.memoryMb ?? 1536 }))
    } finally {
      tpm.kill()
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function findingsIn(said: string): ReadonlyMap<string, unknown> {
  const lines = [...said.matchAll(/^VM (\{.*\})\r?$/gm)].map(
    ([, json = '']) => JSON.parse(json) as { finding: string; value: unknown },
  )
  return new Map(lines.map(({ finding, value }) => [finding, value]))
}

async function packInitrd(dir: string, { busybox }: GuestParts, image: GuestImage): Promise<string> {
  const root = join(dir, 'root')
  for (const folder of ['bin', 'app', 'dev', 'proc', 'sys', 'tmp', 'etc'])
    mkdirSync(join(root, folder), { recursive: true })
  await build({
    entryPoints: [image.program],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: join(root, 'app/guest.mjs'),
    logLevel: 'error',
  })
  copyFileSync(busybox, join(root, 'bin/busybox'))
  const { programs = [], files = new Map<string, Buffer>() } = image
  copyFileSync(process.execPath, join(root, 'bin/node'))
  for (const program of programs) copyFileSync(program, join(root, 'bin', basename(program)))
  const libraries = new Set([process.execPath, ...programs].flatMap(librariesOf))
  for (const library of libraries) {
    mkdirSync(join(root, dirname(library)), { recursive: true })
    copyFileSync(library, join(root, library))
  }
  for (const [path, content] of files) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  writeFileSync(join(root, 'init'), INIT, { mode: 0o755 })
  const initrd = join(dir, 'initrd')
  execFileSync('sh', ['-c', `find . | ${busybox} cpio -o -H newc > ${JSON.stringify(initrd)}`], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  return initrd
}

function boot(
  { qemu, kernel }: GuestParts,
  { initrd, socket, memoryMb }: { readonly initrd: string; readonly socket: string; readonly memoryMb: number },
): Promise<string> {
  const guest = spawn(qemu, [
    '-m',
    `${memoryMb}`,
    ...'-smp 2 -nographic -no-reboot -nic none -accel tcg'.split(' '),
    '-kernel',
    kernel,
    '-initrd',
    initrd,
    '-append',
    'console=ttyS0 quiet panic=1',
    '-chardev',
    `socket,id=c,path=${socket}`,
    '-tpmdev',
    'emulator,id=t,chardev=c',
    '-device',
    'tpm-tis,tpmdev=t',
  ])
  const chunks: string[] = []
  for (const stream of [guest.stdout, guest.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => chunks.push(text))
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      guest.kill('SIGKILL')
      reject(
        new Error(`the guest did not power off within ${GUEST_LIMIT_MS / 1000} s:\n${chunks.join('').slice(-4000)}`),
      )
    }, GUEST_LIMIT_MS)
    guest.once('error', reject)
    guest.once('close', () => {
      clearTimeout(timer)
      resolve(chunks.join(''))
    })
  })
}

async function untilThere(path: string): Promise<void> {
  for (let round = 0; round < 100; round++) {
    if (globSync(path).length > 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`swtpm made no socket at ${path}`)
}

/** Debian's cloud kernel has the TPM drivers built in. */
function kernelOf(folder: string): string | undefined {
  const there = (): string | undefined => globSync(join(folder, 'boot/vmlinuz-*')).toSorted().at(-1)
  if (there() !== undefined || which('apt-get') === undefined || which('dpkg-deb') === undefined) return there()
  const depends = spawnSync('apt-cache', ['depends', 'linux-image-cloud-amd64'], { encoding: 'utf8' })
  const name = /Depends: (linux-image-\S+)/.exec(depends.stdout)?.[1]
  if (name === undefined) return undefined
  mkdirSync(folder, { recursive: true })
  if (spawnSync('apt-get', ['download', name], { cwd: folder }).status !== 0) return undefined
  for (const archive of globSync(join(folder, '*.deb'))) {
    spawnSync('dpkg-deb', ['-x', basename(archive), '.'], { cwd: folder })
    rmSync(archive)
  }
  return there()
}

function librariesOf(program: string): readonly string[] {
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' })
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = '']) => path)
}

function staticBusybox(): string | undefined {
  const found = which('busybox')
  return found !== undefined && librariesOf(found).length === 0 ? found : undefined
}

function which(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin', '/usr/bin', '/bin')
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
