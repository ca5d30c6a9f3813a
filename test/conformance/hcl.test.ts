// The HCL reader beside Go's own, hashicorp/hcl v1.0.1-vault-7: same answer, or a difference that is named.
import { describe, expect, it } from 'vitest'
import { decodeConfig, defineSchema, HclError, type HclObject, parseHcl } from '../../plugins/spire-sdk/hcl/index.ts'
import { mutantOf } from '../fuzz/fuzz-target.ts'
import { HCL_CORPUS, HCL_PIECES } from './hcl/corpus.ts'
import { type Difference, PRINTED_DIFFERENCES, TREE_DIFFERENCES, VALUE_DIFFERENCES } from './hcl/differences.ts'
import { GoRefuses, type GoValue, goShape } from './hcl/go-shape.ts'
import { askGo, buildOracle, type GoVerdict, goVersion } from './hcl/oracle.ts'

const go = goVersion()
const reason = go === undefined ? ' (skipped: no Go toolchain on the PATH)' : ''

const SEED = Number(process.env['HCL_SEED'] ?? 20_260_215)
const MUTANTS = Number(process.env['HCL_MUTANTS'] ?? 60_000)

const schema = defineSchema({
  text: { kind: 'string', help: 'h' },
  count: { kind: 'integer', help: 'h' },
  flag: { kind: 'boolean', help: 'h' },
  list: { kind: 'string_list', help: 'h' },
  block: { kind: 'block', help: 'h', fields: { text: { kind: 'string', help: 'h' } } },
})

function mutants(): string[] {
  const stock = {
    corpus: HCL_CORPUS.map((text) => Buffer.from(text)),
    pieces: HCL_PIECES.map((text) => Buffer.from(text)),
  }
  const texts = new Set<string>()
  for (let index = 0; index < MUTANTS; index += 1) texts.add(mutantOf(stock, SEED, index).toString('utf8'))
  return [...texts]
}

function parse(text: string): HclObject | HclError {
  try {
    return parseHcl(text)
  } catch (error) {
    if (error instanceof HclError) return error
    throw error
  }
}

/** What our tree means to Go, or why its decoder refuses a number in it. */
function shape(root: HclObject, text: string): { value: GoValue } | { refuses: string } {
  try {
    return { value: goShape(root, /^\s*\{/.test(text)) }
  } catch (error) {
    if (error instanceof GoRefuses) return { refuses: error.message }
    throw error
  }
}

/** Numbers that are the same float but printed differently by the two languages. */
function sameFloats(value: GoValue | undefined): unknown {
  return JSON.parse(JSON.stringify(value), (key, item: unknown) => (key === 'float' ? Number(item) : item))
}

interface Disagreement {
  readonly side: Difference['side']
  readonly message: string
}

function compareTrees(text: string, verdict: GoVerdict): Disagreement | undefined {
  const ours = parse(text)
  if (ours instanceof HclError)
    return verdict.decode === undefined ? { side: 'only Go', message: ours.message } : undefined
  const shaped = shape(ours, text)
  const refused = verdict.decode ?? verdict.strict
  if ('refuses' in shaped) {
    // Go's decoder must refuse what we say it refuses; we do so when a field asks for the number.
    const message = `we expected Go to refuse: ${shaped.refuses}`
    if (refused === undefined) return { side: 'both, with another value', message }
    return shaped.refuses === 'map must have string keys' ? { side: 'only we', message: refused } : undefined
  }
  if (refused !== undefined) return { side: 'only we', message: refused }
  const same = JSON.stringify(sorted(sameFloats(shaped.value))) === JSON.stringify(sorted(sameFloats(verdict.value)))
  return same ? undefined : { side: 'both, with another value', message: JSON.stringify(shaped.value) }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  )
}

/** Only of texts whose tree is the same on both sides: a text that we do not parse has no values. */
function compareValues(text: string, verdict: GoVerdict): Disagreement[] {
  if (parse(text) instanceof HclError) return []
  const { values, problems } = decodeConfig(text, schema)
  if (problems.length > 0) {
    return verdict.typed === undefined ? problems.map((problem) => ({ side: 'only Go', message: String(problem) })) : []
  }
  if (verdict.typed !== undefined) return [{ side: 'only we', message: verdict.typed }]
  const { text: word = '', count = 0, flag = false, list = [], block } = values
  const ours = { text: word, count, flag, list, block: { text: block?.text ?? '' } }
  const same = JSON.stringify(ours) === JSON.stringify(verdict.fields)
  return same ? [] : [{ side: 'both, with another value', message: JSON.stringify(ours) }]
}

function nameOf(found: Disagreement, text: string, known: readonly Difference[]): string | undefined {
  return known.find(({ side, message, text: condition }) => {
    return side === found.side && (message?.test(found.message) ?? true) && (condition?.test(text) ?? true)
  })?.name
}

interface Unexplained extends Disagreement {
  readonly text: string
  readonly go: GoVerdict
}

function unexplained(
  texts: readonly string[],
  verdicts: readonly GoVerdict[],
): { found: Unexplained[]; compared: number; named: number } {
  const found: Unexplained[] = []
  let compared = 0
  let named = 0
  for (const [index, text] of texts.entries()) {
    const verdict = verdicts[index]
    if (verdict === undefined) continue
    const tree = compareTrees(text, verdict)
    const differing =
      tree === undefined
        ? compareValues(text, verdict).map((one) => [one, VALUE_DIFFERENCES] as const)
        : ([[tree, TREE_DIFFERENCES]] as const)
    compared += 1
    named += Number(differing.length > 0)
    for (const [one, known] of differing) {
      if (nameOf(one, text, known) === undefined) found.push({ ...one, text, go: verdict })
    }
  }
  return { found, compared, named }
}

/** Undefined when Go or we refuse the text itself; else whether what SPIRE prints of it means the same to us. */
function survivesPrinting(text: string, { printed, decode, strict }: GoVerdict): boolean | undefined {
  const before = parse(text)
  if (printed === undefined || decode !== undefined || strict !== undefined || before instanceof HclError)
    return undefined
  const after = parse(printed)
  if (after instanceof HclError) return false
  const meant = shape(before, text)
  return 'refuses' in meant ? undefined : JSON.stringify(shape(after, '')) === JSON.stringify(meant)
}

function isSpoiltByPrinting(text: string): boolean {
  return PRINTED_DIFFERENCES.some((one) => one.text?.test(text))
}

describe('parseHcl and decodeConfig beside hashicorp/hcl', () => {
  it.skipIf(go === undefined)(
    `agree on every text of the corpus, or differ by a named difference${reason}`,
    async () => {
      const verdicts = await askGo(buildOracle(), HCL_CORPUS)
      const { found, compared } = unexplained(HCL_CORPUS, verdicts)
      expect(found.slice(0, 10)).toEqual([])
      expect(compared).toBe(HCL_CORPUS.length)
    },
  )

  it.skipIf(go === undefined)(
    `agree on ${MUTANTS} mutants of seed ${SEED}, or differ by a named difference${reason}`,
    async () => {
      const texts = mutants()
      const verdicts = await askGo(buildOracle(), texts)
      const { found, named } = unexplained(texts, verdicts)
      expect(found.slice(0, 10)).toEqual([])
      expect(named).toBeLessThan(texts.length / 4)
      expect(texts.length).toBeGreaterThan(MUTANTS / 2)
    },
  )

  it.skipIf(go === undefined)(`read the same from a text as from what SPIRE prints of it${reason}`, async () => {
    const texts = [...HCL_CORPUS, ...mutants()]
    const verdicts = await askGo(buildOracle(), texts)
    const outcomes = verdicts.map((verdict, index) => survivesPrinting(texts[index] ?? '', verdict))
    expect(texts.filter((text, index) => outcomes[index] === false && !isSpoiltByPrinting(text)).slice(0, 10)).toEqual(
      [],
    )
    expect(outcomes.filter((outcome) => outcome === true).length).toBeGreaterThan(1000)
  })

  it.skipIf(go === undefined).each(PRINTED_DIFFERENCES)(
    `cannot read what SPIRE prints of: $name${reason}`,
    async ({ example }) => {
      const [verdict] = await askGo(buildOracle(), [example])
      expect(verdict === undefined ? 'no verdict' : survivesPrinting(example, verdict)).toBe(false)
    },
  )

  it.skipIf(go === undefined).each(TREE_DIFFERENCES)(`still differ in: $name${reason}`, async ({ name, example }) => {
    const [verdict] = await askGo(buildOracle(), [example])
    const found = verdict === undefined ? undefined : compareTrees(example, verdict)
    expect(found === undefined ? 'no difference' : nameOf(found, example, TREE_DIFFERENCES)).toBe(name)
  })

  it.skipIf(go === undefined).each(VALUE_DIFFERENCES)(`still differ in: $name${reason}`, async ({ name, example }) => {
    const [verdict] = await askGo(buildOracle(), [example])
    expect(verdict === undefined ? 'no verdict' : compareTrees(example, verdict)).toBeUndefined()
    const found = verdict === undefined ? [] : compareValues(example, verdict)
    expect(found.map((one) => nameOf(one, example, VALUE_DIFFERENCES))).toContain(name)
  })
})
