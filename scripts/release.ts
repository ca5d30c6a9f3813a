/**
 * Builds a release in dist/: executables for x64 and arm64, the `.cjs` forms, Debian packages, licences, a bill of
 * materials and SHA256SUMS over all of it. The same tree gives the same bytes on any machine.
 *
 * Usage: node scripts/release.ts [--out DIR]
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { billOfMaterials, bundledLicences } from './release/bill-of-materials.ts'
import { buildDeb } from './release/deb.ts'
import { root } from './release/lockfile.ts'

const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist') } } })
const dist = resolve(values.out)
rmSync(dist, { recursive: true, force: true })

for (const arch of ['x64', 'arm64']) {
  execFileSync(process.execPath, [join(root, 'scripts/build.ts'), '--out', dist, '--arch', arch], { stdio: 'inherit' })
}
const bundled = JSON.parse(readFileSync(join(dist, 'bundled-modules.json'), 'utf8')) as string[]
writeFileSync(join(dist, 'LICENSES.txt'), bundledLicences(bundled))
for (const arch of ['x64', 'arm64']) buildDeb(dist, arch)
const shipped = readdirSync(dist)
  .filter((name) => !name.endsWith('.json') && name !== 'SHA256SUMS')
  .toSorted()
const sums = new Map(
  shipped.map((name) => [
    name,
    createHash('sha256')
      .update(readFileSync(join(dist, name)))
      .digest('hex'),
  ]),
)
writeFileSync(join(dist, 'sbom.cdx.json'), billOfMaterials(bundled, sums))
sums.set(
  'sbom.cdx.json',
  createHash('sha256')
    .update(readFileSync(join(dist, 'sbom.cdx.json')))
    .digest('hex'),
)
writeFileSync(join(dist, 'SHA256SUMS'), [...sums].map(([name, sum]) => `${sum}  ${name}\n`).join(''))
process.stderr.write(`release in ${dist}: ${[...sums.keys()].join(', ')}\n`)
