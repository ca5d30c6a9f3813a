/**
 * Text to typed values by a schema, with every problem and warning in one go.
 *
 * @module
 */
import { decodeValue } from './decode-value.ts'
import { parseDuration } from './duration.ts'
import { duplicatesOf, parseTree } from './parse.ts'
import { HclError, inOrder, type Position, Problem } from './problem.ts'
import {
  type BlockField,
  type Decoded,
  type FieldSpecs,
  isAlias,
  isIgnored,
  type Schema,
  type ValueField,
} from './schema.ts'
import { suggest } from './suggest.ts'
import { describeNode, type HclEntry, type HclNode, type HclObject } from './tree.ts'

/** What is wrong with an empty value where one is meant to add a check. */
export const EMPTY_PROBLEM = 'empty: was a variable not set? give it a value, or leave the key out to go without'

/** What a configuration says. Use `values` only when there are no problems: a wrong value stands as its default. */
export interface DecodedConfig<S extends FieldSpecs> {
  readonly values: Decoded<S>
  /** Keys the text sets, under their proper names. An empty string sets nothing. */
  readonly given: ReadonlySet<keyof S & string>
  /** Where the text sets them, for the caller's own problems. */
  readonly positions: ReadonlyMap<keyof S & string, Position>
  /** Where the text has an empty value, for callers to whom some of them matter. */
  readonly emptied: ReadonlyMap<keyof S & string, Position>
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
}

/**
 * Decodes a configuration.
 *
 * Keys match without regard to case, numbers may be quoted, an empty string counts as not given, as in Go, with a
 * warning, or a problem where the field says so. An unknown key and a key set twice are problems: there they are lost in silence.
 *
 * @param text HCL 1 or JSON, as for `parseHcl`. A syntax error is one problem, and the only one.
 * @param schema From `defineSchema`.
 * @returns Values, all problems and all warnings, each once, by position.
 */
export function decodeConfig<const S extends FieldSpecs>(text: string, schema: Schema<S>): DecodedConfig<S> {
  const block = new BlockDecoder(schema.fields, '')
  try {
    block.decode(parseTree(text).entries, { line: 1, column: 1 })
  } catch (error) {
    if (!(error instanceof HclError)) throw error
    block.problems.push(new Problem(error, undefined, error.message))
  }
  return {
    // The compiler cannot follow a loop over keys; decode.test.ts holds the two together.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    values: block.finish() as Decoded<S>,
    given: new Set(block.positions.keys()),
    positions: block.positions,
    emptied: block.emptied,
    problems: inOrder(block.problems),
    warnings: inOrder(block.warnings),
  }
}

/** Decoder of the entries of one pair of braces. */
class BlockDecoder {
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []
  readonly positions = new Map<string, Position>()
  readonly emptied = new Map<string, Position>()
  readonly #fields: FieldSpecs
  readonly #path: string
  readonly #values = new Map<string, unknown>()
  // Which spelling set a key, to find a key set under two names.
  readonly #setBy = new Map<string, HclEntry>()

  constructor(fields: FieldSpecs, path: string) {
    this.#fields = fields
    this.#path = path
  }

  decode(entries: readonly HclEntry[], at: Position): void {
    for (const { entry, first } of duplicatesOf(entries, fold)) {
      this.#problem(entry.key, entry.key.text, `already set at ${first.key.line}:${first.key.column}`)
    }
    const blocks = new Map<string, HclEntry[]>()
    for (const entry of entries) {
      const [key, field] = this.#fieldOf(entry) ?? []
      if (key === undefined || field === undefined) continue
      if (field.kind === 'block') blocks.set(key, [...(blocks.get(key) ?? []), entry])
      else this.#decodeValue(key, field, entry)
    }
    for (const [key, field] of Object.entries(this.#fields)) {
      const found = blocks.get(key)
      if (found !== undefined && 'fields' in field) this.#decodeBlock(key, field, found)
    }
    this.#requireAll(at)
  }

  finish(): Record<string, unknown> {
    const values: Record<string, unknown> = {}
    for (const [key, field] of Object.entries(this.#fields)) {
      if (isAlias(field) || isIgnored(field)) continue
      values[key] = this.#values.has(key) ? this.#values.get(key) : defaultOf(field)
    }
    return values
  }

  #problem(at: Position, key: string, message: string): void {
    this.problems.push(new Problem(at, this.#path + key, message))
  }

  #fieldOf(entry: HclEntry): [string, ValueField] | undefined {
    const written = entry.key.text
    const key = fold(written)
    const field = Object.hasOwn(this.#fields, key) ? this.#fields[key] : undefined
    if (field === undefined) {
      this.#problem(entry.key, written, `unknown key${this.#didYouMean(key)}`)
      return undefined
    }
    if (isIgnored(field)) {
      this.warnings.push(new Problem(entry.key, this.#path + written, `ignored: ${field.ignored}`))
      return undefined
    }
    if (!isAlias(field)) return this.#once(key, entry) ? [key, field] : undefined
    const target = this.#fields[field.aliasOf]
    const message = `another name of "${field.aliasOf}"; write that`
    this.warnings.push(new Problem(entry.key, this.#path + written, message))
    if (target === undefined || isAlias(target) || isIgnored(target)) return undefined
    return this.#once(field.aliasOf, entry) ? [field.aliasOf, target] : undefined
  }

  /** Refuses a key that is set under two names; a name set twice is found before. */
  #once(key: string, entry: HclEntry): boolean {
    const earlier = this.#setBy.get(key)
    if (earlier === undefined || fold(earlier.key.text) === fold(entry.key.text)) {
      this.#setBy.set(key, entry)
      return true
    }
    const where = `${earlier.key.line}:${earlier.key.column}`
    this.#problem(entry.key, entry.key.text, `already set at ${where} as "${earlier.key.text}"`)
    return false
  }

  #didYouMean(key: string): string {
    const known = Object.keys(this.#fields).filter((name) => {
      const field = this.#fields[name]
      return field !== undefined && !isAlias(field) && !isIgnored(field)
    })
    const near = suggest(key, known).map((name) => `"${name}"`)
    return near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`
  }

  #decodeValue(key: string, field: Exclude<ValueField, BlockField>, entry: HclEntry): void {
    const outcome = decodeValue(entry.value, field)
    if (outcome.is === 'empty') {
      this.emptied.set(key, { line: entry.key.line, column: entry.key.column })
      // A template whose variable is missing writes this: a check that was meant must not vanish in silence.
      if (field.refusesEmpty === true) this.#problem(entry.key, entry.key.text, EMPTY_PROBLEM)
      else if (field.required !== true)
        this.warnings.push(new Problem(entry.key, this.#path + entry.key.text, 'empty, so it counts as not set'))
      return
    }
    this.positions.set(key, { line: entry.key.line, column: entry.key.column })
    if (outcome.is === 'value') this.#values.set(key, outcome.value)
    else for (const { at, message } of outcome.problems) this.#problem(at, entry.key.text, message)
  }

  #decodeBlock(key: string, field: BlockField, found: readonly HclEntry[]): void {
    const inner = new BlockDecoder(field.fields, `${this.#path}${key}.`)
    const objects = found.flatMap((entry) => this.#objectsOf(entry))
    const [first] = found
    if (first === undefined) return
    inner.decode(
      objects.flatMap(({ entries }) => entries),
      first.key,
    )
    this.problems.push(...inner.problems)
    this.warnings.push(...inner.warnings)
    this.positions.set(key, { line: first.key.line, column: first.key.column })
    this.#values.set(key, inner.finish())
  }

  // A label is a key within; a list of objects is how JSON repeats a block.
  #objectsOf({ key, labels, value }: HclEntry): HclObject[] {
    const [label, ...rest] = labels
    if (label !== undefined) {
      const { line, column } = label
      return [{ kind: 'object', entries: [{ key: label, labels: rest, assigned: false, value }], line, column }]
    }
    const nodes: readonly HclNode[] = value.kind === 'list' ? value.items : [value]
    return nodes.flatMap((node) => {
      if (node.kind === 'object') return [node]
      this.#problem(node, key.text, `expected a block in braces, found ${describeNode(node)}`)
      return []
    })
  }

  #requireAll(at: Position): void {
    for (const [key, field] of Object.entries(this.#fields)) {
      if (isAlias(field) || isIgnored(field)) continue
      if (field.required === true && !this.positions.has(key)) this.#problem(at, key, 'required, but not set')
    }
  }
}

function fold(key: string): string {
  return key.toLowerCase()
}

function defaultOf(field: ValueField): unknown {
  if (field.kind === 'block') return undefined
  return field.kind === 'duration' && field.default !== undefined ? parseDuration(field.default) : field.default
}
