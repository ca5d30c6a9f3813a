import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FINDINGS } from '../../../operator/findings/catalogue.ts'
import { parseCommandLine } from '../../../operator/flags/program.ts'
import { flagsOf, VERBS } from '../../../operator/flags/verbs.ts'

const root = resolve(import.meta.dirname, '../../..')
const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root }).toSorted()]
const read = (page: string): string => readFileSync(join(root, page), 'utf8')
const NAMES: ReadonlySet<string> = new Set(VERBS.map(({ name }) => name))

/** Every command line of the tool in a page: of its blocks, and between backquotes. */
function commandLines(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text = '']) => text)
  const prose = markdown.replaceAll(/^```[^]*?^```$/gm, '')
  return [
    ...blocks.flatMap((text) => text.replaceAll(/\\\n\s*/g, '').split('\n')),
    ...[...prose.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text.replaceAll(/\s+/g, ' ')),
  ].filter((line) => /^towerkeep [a-z-]/.test(line) && !line.includes('[OPTION...]'))
}

/** Says what the parser has against a line; undefined when it takes it. A bare verb is a name, not a command. */
function problemOf(line: string): string | undefined {
  const words = [...line.replace(/\s[#>|].*$/, '').matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replaceAll(/["']/g, ''),
  )
  const name = words.slice(1).join(' ')
  if (NAMES.has(name)) return undefined
  try {
    const parsed = parseCommandLine(words.slice(1), '0')
    return 'help' in parsed && !words.some((word) => /^(-h|--help|-V|--version)$/.test(word)) ? 'is no verb' : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

describe('the documentation of towerkeep', () => {
  it('shows no command line that the tool would not take [P28]', () => {
    const lines = pages.flatMap((page) => commandLines(read(page)).map((line) => [page, line] as const))
    const wrong = lines.flatMap(([page, line]) => {
      const problem = problemOf(line)
      return problem === undefined ? [] : [`${page}: ${line}: ${problem}`]
    })
    expect(wrong).toEqual([])
    const shown = new Set(lines.map(([page]) => page))
    for (const page of ['README.md', 'docs/towerkeep.md', 'docs/runbooks/new-host.md']) expect(shown).toContain(page)
  })

  it.each([
    ['towerkeep stauts', /unknown command/],
    ['towerkeep status --wach', /unknown option '--wach'/],
    ['towerkeep revoke auth --within 5s', /unknown option '--within'/],
    ['towerkeep status --for ever', /ever/],
    ['towerkeep enroll accept --agent-id 0a', /missing required argument/],
  ])('would find %s', (line, problem) => {
    expect(problemOf(commandLines(`text \`${line}\` text`)[0] ?? '')).toMatch(problem)
    expect(problemOf(commandLines(`\`\`\`sh\n${line} # why\n\`\`\`\n`)[0] ?? '')).toMatch(problem)
  })

  it('gives no next step with a verb or flag that there is none of', () => {
    const steps = Object.entries(FINDINGS).flatMap(([id, { next }]) =>
      [...next.matchAll(/(?<!let )towerkeep ([a-z][^;,]*)/g)].map(
        ([, text = '']) => [id, text.trim().split(/\s+/)] as const,
      ),
    )
    const wrong = steps.filter(([, words]) => {
      const verb = [words.slice(0, 2).join(' '), words[0]].map((name) => VERBS.find((one) => one.name === name))
      const known = verb.find((one) => one !== undefined)
      const flags = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2))
      return known === undefined || flags.some((flag) => !Object.hasOwn(flagsOf(known), flag))
    })
    expect(wrong.map(([id, words]) => `${id}: ${words.join(' ')}`)).toEqual([])
    expect(steps.length).toBeGreaterThan(20)
  })
})
