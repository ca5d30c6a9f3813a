import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { REQUIREMENTS } from './requirements.ts'

const testRoot = import.meta.dirname
const known = new Set(REQUIREMENTS.map((requirement) => requirement.id))
const citations = collectCitations()

describe('REQUIREMENTS', () => {
  it('holds each id once, with a promise', () => {
    expect(known.size).toBe(REQUIREMENTS.length)
    expect(REQUIREMENTS.filter((requirement) => requirement.promise.length < 10)).toEqual([])
  })

  it('has a test or a reason for every promise', () => {
    const missing = REQUIREMENTS.filter(({ id, deferred }) => deferred === undefined && !citations.has(id))
    expect(missing.map(({ id, promise }) => `${id}: ${promise}`)).toEqual([])
  })

  it('defers nothing that is tested', () => {
    const stale = REQUIREMENTS.filter(({ id, deferred }) => deferred !== undefined && citations.has(id))
    expect(stale.map(({ id }) => `${id} is cited by ${[...(citations.get(id) ?? [])].join(', ')}`)).toEqual([])
  })

  it('gives reasons that a reader can judge', () => {
    const thin = REQUIREMENTS.filter(({ deferred }) => deferred !== undefined && deferred.length < 30)
    expect(thin.map(({ id }) => id)).toEqual([])
  })

  it('knows every id that a test cites', () => {
    const unknown = [...citations].filter(([id]) => !known.has(id))
    expect(unknown.map(([id, files]) => `${id} in ${[...files].join(', ')}`)).toEqual([])
  })
})

/** Maps each cited id to the files that cite it: `[T32]` in a title, or an id in the conformance cases' data. */
function collectCitations(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const entry of readdirSync(testRoot, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const isCases = path.endsWith(join('conformance', 'cases.ts'))
    if (!entry.isFile() || !(entry.name.endsWith('.test.ts') || entry.name.endsWith('.scenario.ts') || isCases))
      continue
    const pattern = isCases ? /'([CTP]\d\d)'/g : /\[([CTP]\d\d)\]/g
    for (const [, id = ''] of readFileSync(path, 'utf8').matchAll(pattern)) {
      const files = found.get(id) ?? new Set<string>()
      found.set(id, files.add(relative(testRoot, path)))
    }
  }
  return found
}
