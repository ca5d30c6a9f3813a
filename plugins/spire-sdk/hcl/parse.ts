/**
 * HCL 1 or JSON text to a positioned tree.
 *
 * @module
 */
import { Cursor } from './cursor.ts'
import { parseJson } from './parse-json.ts'
import { HclError, type Position } from './problem.ts'
import { readToken, type Token, type TokenType } from './scan.ts'
import {
  type HclEntry,
  type HclKey,
  type HclList,
  type HclNode,
  type HclObject,
  keyName,
  MAX_BYTES,
  MAX_DEPTH,
} from './tree.ts'

/**
 * Reads a configuration as SPIRE hands it over: HCL 1, or JSON when the first character is `{`.
 *
 * Follows hashicorp/hcl v1.0.1-vault-7, and is stricter where that loses what the operator wrote: a key set twice,
 * a missing value, JSON cut short.
 *
 * @param text At most 1 MiB as UTF-8, nested at most 64 deep. Empty text is an empty object.
 * @returns The tree, with line and column on every key and value.
 * @throws {HclError} The first thing that is wrong; nothing else is ever thrown.
 */
export function parseHcl(text: string): HclObject {
  const root = parseTree(text)
  refuseDuplicates(root)
  return root
}

/**
 * Reads like `parseHcl`, but leaves keys set twice in the tree, for a caller that reports all of them.
 *
 * @param text As for `parseHcl`.
 * @returns The tree.
 * @throws {HclError} As `parseHcl`, but for duplicate keys.
 */
export function parseTree(text: string): HclObject {
  if (text.length > MAX_BYTES || Buffer.byteLength(text) > MAX_BYTES) {
    throw new HclError({ line: 1, column: 1 }, `configuration is larger than ${MAX_BYTES} bytes`)
  }
  const cursor = new Cursor(text.replaceAll('\r\n', '\n'))
  // U+E123 is Go's own: hashicorp/hcl keeps it for its printer and refuses it in every text.
  const illegal = /[\0\uE123]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/.exec(cursor.text)
  if (illegal !== null) cursor.fail(illegal.index, `unexpected character ${JSON.stringify(illegal[0])}`)
  return /^\s*\{/.test(text) ? parseJson(cursor) : new Parser(cursor).document()
}

/**
 * Finds the second and later uses of keys that may be set once.
 *
 * Blocks may repeat, and so may objects set with "=": SPIRE prints a JSON list of objects that way.
 *
 * @param entries Of one object.
 * @param sameKey Maps a key to what counts as the same key.
 * @returns Each further use, with the first.
 */
export function duplicatesOf(
  entries: readonly HclEntry[],
  sameKey: (key: string) => string,
): { readonly entry: HclEntry; readonly first: HclEntry }[] {
  const seen = new Map<string, HclEntry>()
  const found: { entry: HclEntry; first: HclEntry }[] = []
  for (const entry of entries) {
    const key = sameKey(entry.key.text)
    const first = seen.get(key)
    if (first === undefined) seen.set(key, entry)
    else if (entry.value.kind !== 'object' || first.value.kind !== 'object') found.push({ entry, first })
  }
  return found
}

function refuseDuplicates(node: HclNode): void {
  if (node.kind === 'list') for (const item of node.items) refuseDuplicates(item)
  if (node.kind !== 'object') return
  const [duplicate] = duplicatesOf(node.entries, (key) => key)
  if (duplicate !== undefined) {
    const { entry, first } = duplicate
    throw new HclError(entry.key, `${keyName(entry.key)} was already set at ${first.key.line}:${first.key.column}`)
  }
  for (const entry of node.entries) refuseDuplicates(entry.value)
}

/** Recursive descent over HCL tokens, one token ahead. */
class Parser {
  readonly #cursor: Cursor
  #next: Token
  #depth = 0

  constructor(cursor: Cursor) {
    this.#cursor = cursor
    this.#next = readToken(cursor)
  }

  document(): HclObject {
    const entries = this.#entries('end')
    return { kind: 'object', entries, line: 1, column: 1 }
  }

  #take(): Token {
    const token = this.#next
    this.#next = readToken(this.#cursor)
    return token
  }

  #entries(close: 'end' | '}'): HclEntry[] {
    const entries: HclEntry[] = []
    while (this.#next.type !== close) {
      entries.push(this.#entry(entries.at(-1), close))
      // A comma may follow each entry: one, and none in front.
      this.#takes(',')
    }
    return entries
  }

  #entry(previous: HclEntry | undefined, close: 'end' | '}'): HclEntry {
    const keys: HclKey[] = []
    while (this.#next.type === 'ident' || this.#next.type === 'string') keys.push(this.#key())
    const [key, ...labels] = keys
    const next = this.#next
    if (key === undefined) return this.#cursor.fail(next.offset, keyExpected(next, previous, close))
    if (next.type === '{') return { key, labels, assigned: false, value: this.#object() }
    if (next.type !== '=') {
      return this.#cursor.fail(next.offset, `expected "=" or "{" after key ${keyName(key)}, found ${describe(next)}`)
    }
    if (labels.length > 0)
      this.#cursor.fail(next.offset, `expected "{" after ${keys.map(keyName).join(' ')}, found "="`)
    this.#take()
    return { key, labels, assigned: true, value: this.#value(key) }
  }

  #key(): HclKey {
    const position = this.#cursor.position(this.#next.offset)
    return { text: this.#take().text, ...position }
  }

  #value(key: HclKey | undefined): HclNode {
    const token = this.#next
    if (token.type === '{') return this.#object()
    if (token.type === '[') return this.#list()
    const literal = literalOf(token, this.#cursor.position(token.offset))
    if (literal === undefined) return this.#cursor.fail(token.offset, valueExpected(token, key))
    this.#take()
    return literal
  }

  #object(): HclObject {
    const position = this.#cursor.position(this.#open())
    const entries = this.#entries('}')
    this.#take()
    this.#depth -= 1
    return { kind: 'object', entries, ...position }
  }

  #list(): HclList {
    const position = this.#cursor.position(this.#open())
    const items: HclNode[] = []
    while (!this.#takes(']')) {
      items.push(this.#value(undefined))
      if (this.#takes(']')) break
      if (!this.#takes(',')) {
        this.#cursor.fail(this.#next.offset, `expected "," or "]" in a list, found ${describe(this.#next)}`)
      }
    }
    this.#depth -= 1
    return { kind: 'list', items, ...position }
  }

  #takes(type: TokenType): boolean {
    if (this.#next.type !== type) return false
    this.#take()
    return true
  }

  /** Takes the opening bracket, unless it is one too many. */
  #open(): number {
    const { offset } = this.#next
    this.#depth += 1
    if (this.#depth > MAX_DEPTH) this.#cursor.fail(offset, `nested more than ${MAX_DEPTH} deep`)
    this.#take()
    return offset
  }
}

function literalOf(token: Token, position: Position): HclNode | undefined {
  if (token.type === 'string') return { kind: 'string', form: 'quoted', value: token.text, ...position }
  if (token.type === 'heredoc') return { kind: 'string', form: 'heredoc', value: token.text, ...position }
  if (token.type === 'boolean') return { kind: 'boolean', value: token.text === 'true', ...position }
  if (token.type !== 'integer' && token.type !== 'float') return undefined
  return { kind: 'number', form: token.type, text: token.text, ...position }
}

function keyExpected(found: Token, previous: HclEntry | undefined, close: 'end' | '}'): string {
  // What SPIRE 1.13 prints for a JSON null: `"n" =`, and the next key is taken for the value.
  const hint = found.type === '=' && previous?.assigned ? `; does ${keyName(previous.key)} lack a value?` : ''
  return `expected a key${close === '}' ? ' or "}"' : ''}, found ${describe(found)}${hint}`
}

function valueExpected(found: Token, key: HclKey | undefined): string {
  if (key === undefined) return `expected a value or "]" in a list, found ${describe(found)}`
  if (found.type === 'ident')
    return `${keyName(key)}: expected a value, found ${describe(found)}; strings stand in quotes`
  return `${keyName(key)} has no value: found ${describe(found)}`
}

function describe(token: Token): string {
  if (token.type === 'end') return 'the end of the text'
  const text = token.text.slice(0, 40).replace(/[\uD800-\uDBFF]$/, '')
  return token.type === 'integer' || token.type === 'float' ? `the number ${text}` : JSON.stringify(text)
}
