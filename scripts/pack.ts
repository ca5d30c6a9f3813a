/**
 * Builds the packages that others can install: one folder each, ready for `npm publish`, and its tarball.
 *
 * Usage: node scripts/pack.ts [--out DIR]
 */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './release/lockfile.ts'
import { packAll } from './release/npm-packages.ts'

const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist/npm') } } })
for (const { name, tarball } of packAll(resolve(values.out))) process.stdout.write(`${name}: ${tarball}\n`)
