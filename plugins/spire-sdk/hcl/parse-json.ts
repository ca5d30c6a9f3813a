/**
 * JSON text to the same tree, with the escapes and numbers of Go's HCL JSON reader and the strictness of JSON itself.
 *
 * @module
 */
import type { Cursor } from './cursor.ts'
import { readQuoted } from './escape.ts'
import { illegalCharacter, readNumber } from './scan.ts'
import { type HclEntry, type HclKey, type HclList, type HclNode, type HclObject, keyName, MAX_DEPTH } from './tree.ts'

const BLANK = /[ \t\r\n]*/y
const WORD = /[A-Za-z_][A-Za-z0-9_-]*/y

/**
 * Reads a whole JSON text whose root is an object.
 *
 * @param cursor At the start of the text.
 * @returns The tree; `null` is a string node of form `null`, empty, as Go decodes it.
 * @throws {HclError} The first thing that is not JSON, including anything behind the last brace.
 */
export function parseJson(cursor: Cursor): HclObject {
  skip(cursor)
  const root = readObject(cursor, 1)
  skip(cursor)
  if (cursor.peek() !== '') cursor.fail(cursor.offset, `expected the end of the text, found ${found(cursor)}`)
  return { ...root, line: 1, column: 1 }
}

function skip(cursor: Cursor): void {
  cursor.match(BLANK)
}

function found(cursor: Cursor): string {
  const next = cursor.peek()
  return next === '' ? 'the end of the text' : JSON.stringify(next)
}

function expect(cursor: Cursor, character: string, where: string): void {
  skip(cursor)
  if (cursor.peek() !== character)
    cursor.fail(cursor.offset, `expected "${character}" ${where}, found ${found(cursor)}`)
  cursor.offset += 1
}

// True when the closing bracket was next and is taken. A comma in front of it is Go's leniency.
function closes(cursor: Cursor, close: string): boolean {
  skip(cursor)
  if (cursor.peek() !== close) return false
  cursor.offset += 1
  return true
}

function readObject(cursor: Cursor, depth: number): HclObject {
  const position = cursor.position(cursor.offset)
  if (depth > MAX_DEPTH) cursor.fail(cursor.offset, `nested more than ${MAX_DEPTH} deep`)
  expect(cursor, '{', 'at the start of an object')
  const entries: HclEntry[] = []
  while (!closes(cursor, '}')) {
    const key = readKey(cursor)
    expect(cursor, ':', `after key ${keyName(key)}`)
    skip(cursor)
    entries.push({ key, labels: [], assigned: true, value: readValue(cursor, depth, `${keyName(key)}: `) })
    if (closes(cursor, '}')) break
    expect(cursor, ',', 'or "}" in an object')
  }
  return { kind: 'object', entries, ...position }
}

function readKey(cursor: Cursor): HclKey {
  if (cursor.peek() !== '"')
    cursor.fail(cursor.offset, `expected a key in double quotes or "}", found ${found(cursor)}`)
  const position = cursor.position(cursor.offset)
  return { text: readQuoted(cursor, false), ...position }
}

function readList(cursor: Cursor, depth: number): HclList {
  const position = cursor.position(cursor.offset)
  if (depth > MAX_DEPTH) cursor.fail(cursor.offset, `nested more than ${MAX_DEPTH} deep`)
  expect(cursor, '[', 'at the start of a list')
  const items: HclNode[] = []
  while (!closes(cursor, ']')) {
    const at = cursor.offset
    const item = readValue(cursor, depth, '')
    if (item.kind === 'string' && item.form === 'null') cursor.fail(at, 'null cannot stand in a list')
    items.push(item)
    if (closes(cursor, ']')) break
    expect(cursor, ',', 'or "]" in a list')
  }
  return { kind: 'list', items, ...position }
}

function readValue(cursor: Cursor, depth: number, where: string): HclNode {
  const offset = cursor.offset
  const position = cursor.position(offset)
  const next = cursor.peek()
  if (next === '{') return readObject(cursor, depth + 1)
  if (next === '[') return readList(cursor, depth + 1)
  if (next === '"') return { kind: 'string', form: 'quoted', value: readQuoted(cursor, false), ...position }
  const number = readNumber(cursor, false)
  if (number !== undefined) {
    return { kind: 'number', form: number.type === 'float' ? 'float' : 'integer', text: number.text, ...position }
  }
  const word = cursor.match(WORD)?.[0]
  if (word === 'true' || word === 'false') return { kind: 'boolean', value: word === 'true', ...position }
  if (word === 'null') return { kind: 'string', form: 'null', value: '', ...position }
  if (word !== undefined) return cursor.fail(offset, `${where}expected a value, found ${word.slice(0, 40)}`)
  if (next === '' || '}],:'.includes(next))
    return cursor.fail(offset, `${where}expected a value, found ${found(cursor)}`)
  return cursor.fail(offset, `${where}${illegalCharacter(next)}`)
}
