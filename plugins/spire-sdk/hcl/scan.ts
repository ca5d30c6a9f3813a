/**
 * HCL 1 text to tokens, as hashicorp/hcl v1.0.1-vault-7 cuts them; also the number rules that JSON shares.
 *
 * @module
 */
import type { Cursor } from './cursor.ts'
import { readQuoted } from './escape.ts'
import { readHeredoc } from './heredoc.ts'

/** Kinds of tokens; punctuation is its own name. */
export type TokenType = 'ident' | 'string' | 'heredoc' | 'integer' | 'float' | 'boolean' | 'end' | Punctuation
/** The single characters that mean something, by name. */
export type Punctuation = '{' | '}' | '[' | ']' | ',' | '='

/** One token: `text` is what it means (strings unescaped), `offset` where it starts. */
export interface Token {
  readonly type: TokenType
  readonly text: string
  readonly offset: number
}

const BLANK = /[ \t\r\n]+/y
const LINE_COMMENT = /(?:#|\/\/)[^\n]*/y
const IDENT = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy
const HEX = /-?0[xX]([0-9a-fA-F]*)/y
const NUMBER = /-?(?:\d+(\.\d*)?|(\.\d+))([eE][+-]?\d+)?/y

/**
 * Reads the next HCL token, past blanks and comments.
 *
 * @param cursor Moves behind the token.
 * @returns The token; type `end` at the end of the text.
 * @throws {HclError} A character, comment, string, heredoc or number that HCL does not have.
 */
export function readToken(cursor: Cursor): Token {
  skipBlank(cursor)
  const offset = cursor.offset
  const next = cursor.peek()
  if (next === '') return { type: 'end', text: '', offset }
  if (isPunctuation(next)) {
    cursor.offset += 1
    return { type: next, text: next, offset }
  }
  if (next === '"') return { type: 'string', text: readQuoted(cursor, true), offset }
  if (next === '<') return { type: 'heredoc', text: readHeredoc(cursor), offset }
  const ident = cursor.match(IDENT)?.[0]
  if (ident !== undefined)
    return { type: ident === 'true' || ident === 'false' ? 'boolean' : 'ident', text: ident, offset }
  return readNumber(cursor, true) ?? cursor.fail(offset, illegalCharacter(next))
}

/**
 * Reads a number, if one is next.
 *
 * @param cursor Moves behind the number.
 * @param hcl True for HCL, which has hexadecimal and octal; JSON has no leading zeros.
 * @returns The token, its text as written; undefined when no number starts here.
 * @throws {HclError} Something that starts as a number and is none.
 */
export function readNumber(cursor: Cursor, hcl: boolean): Token | undefined {
  const offset = cursor.offset
  const hex = hcl ? cursor.match(HEX) : null
  if (hex !== null) {
    if (hex[1] === '') cursor.fail(offset, `${hex[0]} is not a number: hexadecimal digits expected`)
    return { type: 'integer', text: hex[0], offset }
  }
  const found = cursor.match(NUMBER)
  if (found === null) return undefined
  const [text, fraction, bare, exponent] = found
  // Go takes ".5" and "1.", but neither "-.5" nor an exponent after ".5".
  const odd = bare !== undefined && (text.startsWith('-') || exponent !== undefined)
  if (odd || (exponent === undefined && /[eE]/.test(cursor.peek()))) cursor.fail(offset, `${text} is not a number`)
  if (fraction !== undefined || bare !== undefined || exponent !== undefined) return { type: 'float', text, offset }
  checkLeadingZero(cursor, offset, text, hcl)
  return { type: 'integer', text, offset }
}

function checkLeadingZero(cursor: Cursor, offset: number, text: string, hcl: boolean): void {
  const digits = text.replace('-', '')
  if (!digits.startsWith('0') || digits === '0') return
  if (!hcl) cursor.fail(offset, `${text}: a number cannot start with 0`)
  // "08" and "09" pass here, as in Go: a string field takes their text, an integer field refuses them.
  if (/[89]/.test(digits.slice(2))) cursor.fail(offset, `${text} is not a number: a leading 0 means octal`)
}

function isPunctuation(character: string): character is Punctuation {
  return character.length === 1 && '{}[],='.includes(character)
}

function skipBlank(cursor: Cursor): void {
  for (;;) {
    if (cursor.match(BLANK) !== null || cursor.match(LINE_COMMENT) !== null) continue
    if (cursor.peek() !== '/') return
    if (cursor.peek(1) !== '*') cursor.fail(cursor.offset, 'expected "//" or "/*", found "/"')
    const end = cursor.text.indexOf('*/', cursor.offset + 2)
    if (end === -1) cursor.fail(cursor.offset, 'comment not terminated')
    cursor.offset = end + 2
  }
}

/**
 * Says what to do about a character that cannot stand where it does.
 *
 * @param character One character.
 * @returns The message.
 */
export function illegalCharacter(character: string): string {
  switch (character) {
    case ':':
      return 'unexpected ":"; write "key = value"'
    case "'":
      return 'unexpected "\'"; strings stand in double quotes'
    case '\uFEFF':
      return 'unexpected byte order mark; save the text without it'
    default:
      return `unexpected ${JSON.stringify(character)}`
  }
}
