/**
 * One value of the tree to the type its field names, with Go's coercions.
 *
 * @module
 */
import { formatDuration, MAX_DURATION_MS, parseDuration } from './duration.ts'
import { parseGoInteger } from './integer.ts'
import type { Position } from './problem.ts'
import type { BlockField, DurationField, IntegerField, StringField, StringListField, ValueField } from './schema.ts'
import { suggest } from './suggest.ts'
import { describeNode, type HclNode, holdsKey } from './tree.ts'

/** What became of a value: `empty` counts as not given. */
export type Outcome =
  | { readonly is: 'value'; readonly value: string | number | boolean | readonly string[] }
  | { readonly is: 'empty' }
  | { readonly is: 'wrong'; readonly problems: readonly { readonly at: Position; readonly message: string }[] }

const MIN_PORT = 1
const MAX_PORT = 65_535
/** The longest value that a hint writes out anew. */
const MAX_HINT = 60
const MAX_PATH_BYTES = 4_095

/**
 * Decodes one value.
 *
 * @param node The value.
 * @param field What it shall be; blocks are not decoded here.
 * @returns The value, or every problem with it.
 */
export function decodeValue(node: HclNode, field: Exclude<ValueField, BlockField>): Outcome {
  switch (field.kind) {
    case 'string':
      return decodeString(node, field)
    case 'integer':
    case 'port':
      return decodeInteger(node, field)
    case 'boolean':
      return decodeBoolean(node)
    case 'duration':
      return decodeDuration(node, field)
    case 'string_list':
      return decodeStringList(node, field)
    default:
      return field satisfies never
  }
}

function wrong(at: Position, message: string): Outcome {
  return { is: 'wrong', problems: [{ at, message }] }
}

function value(of: string | number | boolean | readonly string[]): Outcome {
  return { is: 'value', value: of }
}

// Go takes a number for a string field, by its text; not a float, not a boolean.
function textOf(node: HclNode): string | undefined {
  if (node.kind === 'string') return node.value
  return node.kind === 'number' && node.form === 'integer' ? node.text : undefined
}

function decodeString(node: HclNode, field: StringField): Outcome {
  const text = textOf(node)
  if (text === undefined) return wrong(node, `expected a string, found ${describeNode(node)}`)
  if (text === '') return { is: 'empty' }
  const problem = (field.path === true ? pathProblem(text, node) : undefined) ?? textProblem(text, node, field)
  return problem === undefined ? value(text) : wrong(node, problem)
}

// A path stands in messages and in logs: it is one line, and nothing that belongs into a file.
function pathProblem(text: string, node: HclNode): string | undefined {
  if (holdsKey(text) || /\p{Cc}/u.test(text)) {
    return `expected a path, found ${describeNode(node)}; write it to a file and name that file here`
  }
  return Buffer.byteLength(text) > MAX_PATH_BYTES ? `expected a path of at most ${MAX_PATH_BYTES} bytes` : undefined
}

function textProblem(text: string, node: HclNode, field: StringField | StringListField): string | undefined {
  const { oneOf, pattern, patternText, check } = field
  // Whatever the rule, its message must not show a key.
  if (holdsKey(text)) return `expected a value, found ${describeNode(node)}; a file that holds it can be named`
  if (oneOf !== undefined && !oneOf.includes(text)) {
    const [near] = suggest(text, oneOf)
    const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`
    return `expected one of ${oneOf.map((item) => JSON.stringify(item)).join(', ')}, found ${describeNode(node)}${hint}`
  }
  if (pattern !== undefined && !matchesWhole(pattern, text)) {
    return `expected ${patternText ?? `text that matches ${pattern.source}`}, found ${describeNode(node)}`
  }
  return check?.(text)
}

function matchesWhole(pattern: RegExp, text: string): boolean {
  const found = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).exec(text)
  return found !== null && found[0].length === text.length
}

// Go takes a quoted number for a number, but no heredoc and no float.
function decodeInteger(node: HclNode, field: IntegerField): Outcome {
  const kind = field.kind === 'port' ? 'a port number' : 'a whole number'
  const text = node.kind === 'string' && node.form === 'heredoc' ? undefined : textOf(node)
  if (text === '') return { is: 'empty' }
  const number = text === undefined ? undefined : parseGoInteger(text)
  if (number === undefined) return wrong(node, `expected ${kind}, found ${describeNode(node)}`)
  const min = field.min ?? (field.kind === 'port' ? MIN_PORT : undefined)
  const max = field.max ?? (field.kind === 'port' ? MAX_PORT : undefined)
  const bounds = boundsProblem(number, min, max, String)
  return bounds === undefined ? value(number) : wrong(node, `expected ${kind} ${bounds}, found ${describeNode(node)}`)
}

function decodeBoolean(node: HclNode): Outcome {
  if (node.kind === 'boolean') return value(node.value)
  const quoted = node.kind === 'string' && /^(true|false)$/i.test(node.value)
  const hint = quoted ? `; write ${node.value.toLowerCase()} without quotes` : ''
  return wrong(node, `expected true or false, found ${describeNode(node)}${hint}`)
}

function decodeDuration(node: HclNode, field: DurationField): Outcome {
  const text = textOf(node)
  if (text === undefined) return wrong(node, `expected a duration such as "5s", found ${describeNode(node)}`)
  if (text === '') return { is: 'empty' }
  const ms = parseDuration(text)
  if (typeof ms === 'string') return wrong(node, `${describeNode(node)} ${ms}`)
  const bounds = boundsProblem(ms, field.min, field.max ?? MAX_DURATION_MS, formatDuration)
  return bounds === undefined ? value(ms) : wrong(node, `expected a duration ${bounds}, found ${describeNode(node)}`)
}

function decodeStringList(node: HclNode, field: StringListField): Outcome {
  if (node.kind !== 'list') {
    const text = textOf(node)
    const short = text !== undefined && text !== '' && text.length <= MAX_HINT && !holdsKey(text)
    const hint = short ? `; write [${JSON.stringify(text)}]` : ''
    return wrong(node, `expected a list of strings, found ${describeNode(node)}${hint}`)
  }
  const problems: { at: Position; message: string }[] = []
  const items: string[] = []
  for (const item of node.items) {
    const text = textOf(item)
    const message = text === undefined ? undefined : textProblem(text, item, field)
    if (text === undefined || text === '') {
      problems.push({ at: item, message: `expected a string in the list, found ${describeNode(item)}` })
    } else if (message !== undefined) problems.push({ at: item, message })
    else items.push(text)
  }
  const bounds = boundsProblem(node.items.length, field.min, field.max, String)
  if (bounds !== undefined)
    problems.push({ at: node, message: `expected a list of ${bounds}, found ${node.items.length}` })
  return problems.length === 0 ? value(items) : { is: 'wrong', problems }
}

function boundsProblem(
  number: number,
  min: number | undefined,
  max: number | undefined,
  show: (bound: number) => string,
): string | undefined {
  if ((min === undefined || number >= min) && (max === undefined || number <= max)) return undefined
  if (max === undefined) return `of at least ${show(min ?? 0)}`
  return min === undefined ? `of at most ${show(max)}` : `from ${show(min)} to ${show(max)}`
}
