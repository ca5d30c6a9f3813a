/** What a stranger looks at first, and what runs without anybody looking. @module */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const workflows = globSync('.github/workflows/*.yml', { cwd: root })

describe('the workflows', () => {
  it('pin every action by the commit of a release they name [pkg:ci:pinned-actions]', () => {
    const uses = workflows.flatMap((path) => [...read(path).matchAll(/uses: (.*)/g)].map(([, action = '']) => action))
    expect(uses.length).toBeGreaterThan(5)
    expect(uses.filter((action) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action))).toEqual([])
  })

  it('run what a person runs, .ci/run, before anything is released [pkg:ci:one-script]', () => {
    expect(statSync(join(root, '.ci/run')).mode & 0o111).not.toBe(0)
    expect(workflows.filter((path) => !read(path).includes(' .ci/run'))).toEqual([])
    const release = read('.github/workflows/release.yml')
    const steps = ['.ci/run', 'make release', 'cosign sign-blob', 'attest-build-provenance@', 'gh release create']
    expect(steps.map((step) => release.indexOf(step))).toEqual(
      steps.map((step) => release.indexOf(step)).toSorted((a, b) => a - b),
    )
    expect(release.indexOf('.ci/run')).toBeGreaterThan(0)
  })

  it('may write nothing but what a release is [pkg:ci:least-rights]', () => {
    expect(read('.github/workflows/ci.yml').match(/: write/g)).toBeNull()
    expect([...read('.github/workflows/release.yml').matchAll(/([a-z-]+): write/g)].map(([, right]) => right)).toEqual([
      'contents',
      'id-token',
      'attestations',
    ])
  })
})

describe('the pages at the top', () => {
  it.each(['CHANGELOG.md', 'SECURITY.md', 'RELEASING.md'])('%s leads to files that exist', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, target = '']) => target)
    expect(links.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([])
  })
})
