/** The Debian package: both halves, their man pages, the systemd sandbox drop-ins and the licences. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { projectVersion, root } from './lockfile.ts'

/** Time stamp of every file in the package, seconds since 1970: a build must not depend on when it ran. */
const SOURCE_DATE_EPOCH = 1_767_225_600

const DEBIAN_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/**
 * Builds `tower-of-omens_<version>_<arch>.deb`.
 *
 * @param dist Folder that holds the built executables and licences.
 * @param arch `x64` or `arm64`.
 * @returns Path of the package.
 * @throws {Error} dpkg-deb is missing or refuses the tree.
 */
export function buildDeb(dist: string, arch: string): string {
  const debianArch = DEBIAN_ARCH[arch] ?? arch
  const target = join(dist, `tower-of-omens_${projectVersion()}_${debianArch}.deb`)
  const tree = mkdtempSync(join(tmpdir(), 'tower-deb-'))
  try {
    chmodSync(tree, 0o755)
    for (const half of ['keylime-attestor-server', 'keylime-attestor-agent']) {
      install(join(dist, arch === process.arch ? half : `${half}-${arch}`), join(tree, 'usr/bin', half), 0o755)
      installText(manPage(half), join(tree, `usr/share/man/man8/${half}.8.gz`))
    }
    for (const unit of readdirSync(join(root, 'packaging/systemd'))) {
      install(join(root, 'packaging/systemd', unit), join(tree, 'usr/share/doc/tower-of-omens/systemd', unit), 0o644)
    }
    install(join(dist, 'LICENSES.txt'), join(tree, 'usr/share/doc/tower-of-omens/copyright'), 0o644)
    installText(control(debianArch), join(tree, 'DEBIAN/control'))
    stampAll(tree)
    execFileSync('dpkg-deb', ['--build', '--root-owner-group', '-Zxz', '-z1', tree, target], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, SOURCE_DATE_EPOCH: String(SOURCE_DATE_EPOCH) },
    })
  } finally {
    rmSync(tree, { recursive: true, force: true })
  }
  return target
}

function control(debianArch: string): string {
  const template = readFileSync(join(root, 'packaging/debian/control'), 'utf8')
  return template.replace('@VERSION@', projectVersion()).replace('@ARCH@', debianArch)
}

function manPage(half: string): Buffer {
  const text = readFileSync(join(root, 'packaging/man', `${half}.8`), 'utf8').replace('@VERSION@', projectVersion())
  return gzipSync(text, { level: 9 })
}

function install(from: string, to: string, mode: number): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 })
  copyFileSync(from, to)
  chmodSync(to, mode)
}

function installText(text: string | Buffer, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 })
  writeFileSync(to, text, { mode: 0o644 })
}

function stampAll(tree: string): void {
  for (const entry of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
    utimesSync(join(tree, entry), SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH)
  }
  utimesSync(tree, SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH)
}
