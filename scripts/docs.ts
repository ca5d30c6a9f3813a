/**
 * Writes the generated sections of docs/*.md and README.md, between `<!-- generated:KEY -->` and `<!-- end -->`, and the
 * files that are made of the operator's tool.
 *
 * Usage: node scripts/docs.ts [--check]   (--check writes nothing and fails on a difference)
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fillSections } from './docs/fill-sections.ts'
import { operatorFiles } from './docs/operator-files.ts'
import { SECTIONS } from './docs/sections.ts'

const root = resolve(import.meta.dirname, '..')
const check = process.argv.includes('--check')
const pages = readdirSync(join(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))

let stale = 0
for (const [file, text] of operatorFiles()) {
  const path = join(root, file)
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
  stale += 1
  mkdirSync(dirname(path), { recursive: true })
  if (!check) writeFileSync(path, text)
  console.log(`${file}: ${check ? 'is not what the code says; run `make docs`' : 'written'}`)
}
for (const page of ['README.md', ...pages]) {
  const path = join(root, page)
  const before = readFileSync(path, 'utf8')
  const after = fillSections(before, SECTIONS, page)
  if (after === before) continue
  stale += 1
  if (!check) writeFileSync(path, after)
  console.log(`${page}: ${check ? 'is not what the code says; run `make docs`' : 'written'}`)
}
if (check && stale > 0) process.exitCode = 1
else if (stale === 0) console.log('generated documentation is current')
