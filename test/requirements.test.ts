import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CITATION, REQUIREMENTS, requirementCited } from './requirements/index.ts'

const testRoot = import.meta.dirname
/** What is cited and names no promise, with the file. */
const unknown: [name: string, file: string][] = []
const citations = collectCitations()

describe('REQUIREMENTS', () => {
  it('holds each id and each alias once, with a promise', () => {
    const names = REQUIREMENTS.flatMap(({ id, alias }) => (alias === undefined ? [id] : [id, alias]))
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
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

  it('names each promise by area, subject and behaviour, and by an alias of a letter and two digits', () => {
    const odd = REQUIREMENTS.filter(
      ({ id, alias = 'X00' }) => !/^[a-z0-9-]+(:[a-z0-9-]+){2}$/.test(id) || !/^[A-Z]\d\d$/.test(alias),
    )
    expect(odd.map(({ id }) => id)).toEqual([])
  })

  it('knows every id that a test cites', () => {
    expect(unknown.map(([name, file]) => `${name} in ${file}`)).toEqual([])
  })
})

/** Maps the id of each cited promise to the files that cite it, and notes what names no promise. */
function collectCitations(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>()
  for (const entry of readdirSync(testRoot, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const isCases = path.endsWith(join('conformance', 'cases.ts'))
    if (!entry.isFile() || !(entry.name.endsWith('.test.ts') || entry.name.endsWith('.scenario.ts') || isCases))
      continue
    for (const [, name = ''] of readFileSync(path, 'utf8').matchAll(isCases ? /'([CTP]\d\d)'/g : CITATION)) {
      const requirement = requirementCited(name)
      if (requirement === undefined) unknown.push([name, relative(testRoot, path)])
      else found.set(requirement.id, (found.get(requirement.id) ?? new Set()).add(relative(testRoot, path)))
    }
  }
  return found
}
