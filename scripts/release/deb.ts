/** The Debian packages: the plugins, and the operator's tool with its unit, manuals, completion and schemas. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
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

/** Time stamp of every file in a package and in the image, seconds since 1970: a build must not depend on when it ran. */
export const SOURCE_DATE_EPOCH = 1_767_225_600

const DEBIAN_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** What dpkg runs around unpacking and removing, where a package has it. */
const MAINTAINER_SCRIPTS = ['postinst', 'prerm', 'postrm']

/** One package. */
interface DebPackage {
  readonly name: string
  /** Puts its files into a tree. */
  readonly fill: (tree: string, program: (name: string) => string) => void
}

/** Several packages, so that an upgrade of one program leaves the others and their checksums alone. */
const PACKAGES: readonly DebPackage[] = [
  { name: 'tower-of-omens', fill: fillPlugins },
  { name: 'towerkeep', fill: fillTool },
  { name: 'bundle-publisher-keeper', fill: fillPlugin('bundle-publisher-keeper') },
  { name: 'key-manager-tpm', fill: fillPlugin('key-manager-tpm') },
]

/**
 * Builds `<package>_<version>_<arch>.deb` of each package.
 *
 * @param dist Folder that holds the built executables and licences.
 * @param arch `x64` or `arm64`.
 * @returns Paths of the packages.
 * @throws {Error} dpkg-deb is missing or refuses a tree.
 */
export function buildDebs(dist: string, arch: string): readonly string[] {
  return PACKAGES.map((one) => buildDeb(one, dist, arch))
}

function buildDeb({ name, fill }: DebPackage, dist: string, arch: string): string {
  const debianArch = DEBIAN_ARCH[arch] ?? arch
  const target = join(dist, `${name}_${projectVersion()}_${debianArch}.deb`)
  const tree = mkdtempSync(join(tmpdir(), 'tower-deb-'))
  try {
    chmodSync(tree, 0o755)
    fill(tree, (program) => join(dist, arch === process.arch ? program : `${program}-${arch}`))
    install(join(dist, 'LICENSES.txt'), join(tree, 'usr/share/doc', name, 'copyright'), 0o644)
    installText(control(name, debianArch), join(tree, 'DEBIAN/control'))
    for (const script of MAINTAINER_SCRIPTS) {
      const from = packaging('debian', `${name}.${script}`)
      if (existsSync(from)) install(from, join(tree, 'DEBIAN', script), 0o755)
    }
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

/** A plugin that comes alone: program, man page, and its page of the documentation. */
function fillPlugin(name: string): DebPackage['fill'] {
  return (tree, program) => {
    install(program(name), join(tree, 'usr/bin', name), 0o755)
    installText(manPage(name), join(tree, `usr/share/man/man8/${name}.8.gz`))
    install(join(root, 'docs', `${name}.md`), join(tree, 'usr/share/doc', name, `${name}.md`), 0o644)
  }
}

function fillPlugins(tree: string, program: (name: string) => string): void {
  for (const half of ['keylime-attestor-server', 'keylime-attestor-agent']) {
    install(program(half), join(tree, 'usr/bin', half), 0o755)
    installText(manPage(half), join(tree, `usr/share/man/man8/${half}.8.gz`))
  }
  for (const unit of ['spire-agent.conf', 'spire-agent-tpm.conf', 'spire-server.conf']) {
    install(packaging('systemd', unit), join(tree, 'usr/share/doc/tower-of-omens/systemd', unit), 0o644)
  }
}

/** The unit is installed and not enabled: the daemon needs a certificate first. */
function fillTool(tree: string, program: (name: string) => string): void {
  install(program('towerkeep'), join(tree, 'usr/bin/towerkeep'), 0o755)
  for (const page of readdirSync(packaging('man')).filter((name) => name.startsWith('towerkeep'))) {
    installText(manPage(page.replace(/\.8$/, '')), join(tree, `usr/share/man/man8/${page}.gz`))
  }
  for (const [from, to] of TOOL_FILES) install(packaging(from), join(tree, to), 0o644)
  for (const folder of ['schema', 'opa', 'grafana', 'prometheus']) {
    for (const file of readdirSync(packaging(folder))) {
      install(packaging(folder, file), join(tree, 'usr/share/towerkeep', folder, file), 0o644)
    }
  }
  for (const page of ['towerkeep.md', 'findings.md']) {
    install(join(root, 'docs', page), join(tree, 'usr/share/doc/towerkeep', page), 0o644)
  }
}

/** Files of the tool in `packaging/`, and where they go. */
const TOOL_FILES: readonly (readonly [string, string])[] = [
  ['systemd/towerkeep-watch.service', 'usr/lib/systemd/system/towerkeep-watch.service'],
  ['systemd/towerkeep-renew.service', 'usr/lib/systemd/system/towerkeep-renew.service'],
  ['systemd/towerkeep-renew.timer', 'usr/lib/systemd/system/towerkeep-renew.timer'],
  ['systemd/towerkeep-windows.service', 'usr/lib/systemd/system/towerkeep-windows.service'],
  ['systemd/towerkeep-windows.timer', 'usr/lib/systemd/system/towerkeep-windows.timer'],
  ['sysusers/towerkeep.conf', 'usr/lib/sysusers.d/towerkeep.conf'],
  ['tmpfiles/towerkeep.conf', 'usr/lib/tmpfiles.d/towerkeep.conf'],
  ['completion/towerkeep.bash', 'usr/share/bash-completion/completions/towerkeep'],
  ['completion/_towerkeep', 'usr/share/zsh/vendor-completions/_towerkeep'],
  ['completion/towerkeep.fish', 'usr/share/fish/vendor_completions.d/towerkeep.fish'],
  ['towerkeep.hcl', 'usr/share/doc/towerkeep/towerkeep.hcl'],
]

function packaging(...parts: readonly string[]): string {
  return join(root, 'packaging', ...parts)
}

function control(name: string, debianArch: string): string {
  const file = name === 'tower-of-omens' ? 'control' : `${name}.control`
  const template = readFileSync(packaging('debian', file), 'utf8')
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
