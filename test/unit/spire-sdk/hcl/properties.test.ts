import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeConfig,
  defineSchema,
  HclError,
  type HclNode,
  type HclObject,
  parseHcl,
} from '../../../../plugins/spire-sdk/hcl/index.ts'
import { type Plain, plain } from './plain.ts'

const RUNS = { numRuns: 2000 }

const schema = defineSchema({
  text: { kind: 'string', help: 'h' },
  count: { kind: 'integer', help: 'h' },
  flag: { kind: 'boolean', help: 'h' },
  wait: { kind: 'duration', default: '1s', help: 'h' },
  list: { kind: 'string_list', help: 'h' },
  block: { kind: 'block', help: 'h', fields: { text: { kind: 'string', required: true, help: 'h' } } },
  old: { aliasOf: 'text' },
})

/** Text that looks like HCL more often than chance: its own tokens in any order. */
const nearlyHcl = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'a',
        'text',
        'count',
        'flag',
        'wait',
        'list',
        'block',
        'old',
        'true',
        'false',
        'null',
        '0x1f',
        '017',
      ),
      fc.constantFrom(
        '=',
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"',
        '\\',
        '$',
        '${',
        '#',
        '//',
        '/*',
        '*/',
        '<<E\n',
        '<<-E\n',
        'E\n',
      ),
      fc.constantFrom(
        '"x"',
        '"1m"',
        '1',
        '-1',
        '1.5',
        '1e',
        '.5',
        '\n',
        '\r\n',
        '\t',
        ' ',
        '"\\n"',
        '"\\x',
        '\\u00',
        '\0',
        '\uD800',
      ),
      fc.string({ unit: 'binary', maxLength: 4 }),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''))

/** JSON with up to seven characters missing somewhere. */
const cutJson = fc.tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.nat({ max: 7 })).map(([json, from, length]) => {
  const text = `{"a": ${json}}`
  const start = from % text.length
  return text.slice(0, start) + text.slice(start + length)
})

function expectWithin(text: string, at: { line: number; column: number }): void {
  const lines = text.replaceAll('\r\n', '\n').split('\n')
  expect(at.line).toBeGreaterThanOrEqual(1)
  expect(at.line).toBeLessThanOrEqual(lines.length)
  expect(at.column).toBeGreaterThanOrEqual(1)
  expect(at.column).toBeLessThanOrEqual(Array.from(lines[at.line - 1] ?? '').length + 1)
}

function expectNodesWithin(text: string, node: HclNode): void {
  expectWithin(text, node)
  if (node.kind === 'list') for (const item of node.items) expectNodesWithin(text, item)
  if (node.kind !== 'object') return
  for (const { key, labels, value } of node.entries) {
    for (const name of [key, ...labels]) expectWithin(text, name)
    expectNodesWithin(text, value)
  }
}

function parseOrError(text: string): HclObject | HclError {
  try {
    return parseHcl(text)
  } catch (error) {
    if (error instanceof HclError) return error
    throw error
  }
}

function holdsForAnyText(text: string): void {
  const parsed = parseOrError(text)
  expect(parsed instanceof HclError ? parsed.message : '').not.toMatch(/^[A-Z]/)
  if (parsed instanceof HclError) expectWithin(text, parsed)
  else expectNodesWithin(text, parsed)
  const { problems, warnings, values } = decodeConfig(text, schema)
  for (const problem of [...problems, ...warnings]) expectWithin(text, problem)
  const places = problems.map(({ line, column }) => line * 1e6 + column)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
  expect(new Set(problems.map(String)).size).toBe(problems.length)
  expect(values.wait).toBeTypeOf('number')
}

describe('parseHcl and decodeConfig', () => {
  it('throw nothing but HclError, and point into the text, for any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), holdsForAnyText), RUNS)
  })

  it('throw nothing but HclError, and point into the text, for text made of HCL tokens', () => {
    fc.assert(fc.property(nearlyHcl, holdsForAnyText), RUNS)
  })

  it('throw nothing but HclError for JSON with any part cut away', () => {
    fc.assert(fc.property(cutJson, holdsForAnyText), RUNS)
  })
})

/** How one may write a text in double quotes: JSON's way, which HCL shares but for `${` and half characters. */
function quote(text: string): string {
  return JSON.stringify(text).replaceAll('\\/', '/').replaceAll('${', '\\x24{')
}

function print(value: Plain, indent = ''): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `[${value.map((item) => print(item, `${indent}  `)).join(', ')}]`
  if (isNumber(value)) return value.number
  const inner = `${indent}  `
  return `{\n${printEntries(value, inner)}${indent}}`
}

function isNumber(value: { [key: string]: Plain }): value is { number: string } {
  return typeof value['number'] === 'string' && Object.keys(value).length === 1
}

function printEntries(value: { [key: string]: Plain }, indent: string): string {
  return Object.entries(value)
    .map(
      ([key, item]) =>
        `${indent}${/^[a-z]+$/.test(key) && key !== 'true' ? key : quote(key)} = ${print(item, indent)}\n`,
    )
    .join('')
}

const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\uE123') && !value.includes('\0'))
const number = fc.integer().map((value): Plain => ({ number: String(value) }))
const key = text.filter((value) => value !== '__proto__')
const { object } = fc.letrec<{ value: Plain; object: { [key: string]: Plain } }>((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, text, fc.boolean(), number, fc.array(tie('value'), { maxLength: 4 }), tie('object')),
  object: fc.dictionary(key, tie('value'), { maxKeys: 5 }).filter((value) => !isNumber(value)),
}))

function toJson(value: Plain): unknown {
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object') return value
  if (isNumber(value)) return Number(value.number)
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toJson(item)]))
}

describe('parseHcl', () => {
  it('reads back any values printed as HCL', () => {
    fc.assert(
      fc.property(object, (values) => {
        expect(plain(parseHcl(printEntries(values, '')))).toEqual(values)
      }),
      RUNS,
    )
  })

  it('reads back any values printed as JSON', () => {
    fc.assert(
      fc.property(object, (values) => {
        expect(plain(parseHcl(JSON.stringify(toJson(values))))).toEqual(values)
      }),
      RUNS,
    )
  })

  it('reads back any lines printed as a heredoc', () => {
    const line = text.map((value) => value.replace(/[\r\n]/g, ''))
    fc.assert(
      fc.property(fc.array(line, { minLength: 1 }), (lines) => {
        const body = lines.map((value) => `${value}\n`).join('')
        expect(plain(parseHcl(`a = <<END_OF_TEXT\n${body}END_OF_TEXT\n`))).toEqual({ a: body })
      }),
      RUNS,
    )
  })
})
