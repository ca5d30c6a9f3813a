/**
 * The inside of a quoted string: escapes to text, with `${...}` of HCL kept as it is.
 *
 * @module
 */
import type { Cursor } from './cursor.ts'

const SIMPLE: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  '"': 34,
}

// The longest run of characters that mean themselves: no quote, backslash, newline or dollar.
const PLAIN = /[^"\\\n$]+/y
const NUMERIC = /\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y

/** Builder of text from characters and single bytes: `\xc3\xa9` is two bytes of one character, as in Go. */
class TextBuilder {
  readonly #parts: string[] = []
  #bytes: number[] = []

  text(text: string): void {
    this.flush()
    this.#parts.push(text)
  }

  byte(value: number): void {
    this.#bytes.push(value)
  }

  /** Returns false when the bytes so far are not UTF-8. */
  flush(): boolean {
    if (this.#bytes.length === 0) return true
    const text = Buffer.from(this.#bytes).toString('utf8')
    const whole = Buffer.from(text, 'utf8').equals(Buffer.from(this.#bytes))
    this.#bytes = []
    this.#parts.push(text)
    return whole
  }

  toString(): string {
    return this.#parts.join('')
  }
}

/**
 * Reads a quoted string whose opening quote is next, and moves past the closing one.
 *
 * @param cursor Stands on the opening quote.
 * @param interpolation True for HCL: quotes and newlines inside `${...}` belong to the string, escapes there stay.
 * @returns The text it means.
 * @throws {HclError} No closing quote on the line, an unknown or impossible escape, escaped bytes that are not UTF-8.
 */
export function readQuoted(cursor: Cursor, interpolation: boolean): string {
  const start = cursor.offset
  const built = new TextBuilder()
  cursor.offset += 1
  for (;;) {
    const plain = cursor.match(PLAIN)?.[0]
    if (plain !== undefined) put(cursor, built, plain)
    switch (cursor.peek()) {
      case '"':
        put(cursor, built, '')
        cursor.offset += 1
        return built.toString()
      case '\\':
        readEscape(cursor, built)
        break
      case '$':
        put(cursor, built, interpolation && cursor.peek(1) === '{' ? readInterpolation(cursor, start) : takeOne(cursor))
        break
      default:
        cursor.fail(start, 'string has no closing quote on its line')
    }
  }
}

/** Appends text after the pending bytes, which must be whole characters by then. */
function put(cursor: Cursor, built: TextBuilder, text: string): void {
  if (!built.flush()) cursor.fail(cursor.offset - text.length - 1, 'escaped bytes are not UTF-8')
  built.text(text)
}

function takeOne(cursor: Cursor): string {
  cursor.offset += 1
  return cursor.text.charAt(cursor.offset - 1)
}

/** Reads `${...}` up to its own closing brace. */
function readInterpolation(cursor: Cursor, start: number): string {
  const from = cursor.offset
  let depth = 0
  for (let at = from + 1; at < cursor.text.length; at += 1) {
    const character = cursor.text[at]
    if (character === '{') depth += 1
    if (character === '}') depth -= 1
    if (depth > 0) continue
    cursor.offset = at + 1
    return cursor.text.slice(from, at + 1)
  }
  return cursor.fail(start, 'string has no closing quote: "${" is not closed')
}

function readEscape(cursor: Cursor, built: TextBuilder): void {
  const at = cursor.offset
  const simple = SIMPLE[cursor.peek(1)]
  if (simple !== undefined) {
    cursor.offset += 2
    return built.byte(simple)
  }
  const [whole, octal, byte, short, long] = cursor.match(NUMERIC) ?? []
  if (whole === undefined) cursor.fail(at, unknownEscape(cursor.peek(1)))
  if (octal !== undefined) return putByte(cursor, built, at, Number.parseInt(octal, 8))
  if (byte !== undefined) return putByte(cursor, built, at, Number.parseInt(byte, 16))
  const point = Number.parseInt(short ?? long ?? '', 16)
  if (point > 0x10ffff) cursor.fail(at, `${whole} is not a character`)
  // Go writes U+FFFD here in HCL and crashes in JSON; nobody means either.
  if (point >= 0xd800 && point <= 0xdfff) cursor.fail(at, `${whole} is half a character; write the character itself`)
  put(cursor, built, String.fromCodePoint(point))
}

function putByte(cursor: Cursor, built: TextBuilder, at: number, value: number): void {
  if (value > 255) cursor.fail(at, 'octal escape is more than one byte; the largest is \\377')
  built.byte(value)
}

function unknownEscape(next: string): string {
  if (next === '/') return 'unknown escape "\\/"; write "/"'
  return next === '' || next === '\n'
    ? 'string has no closing quote on its line'
    : `unknown escape "\\${next}"; a backslash itself is written "\\\\"`
}
