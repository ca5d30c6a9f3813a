import { describe, expect, it } from 'vitest'
import { HclError, parseHcl } from '../../../../plugins/spire-sdk/hcl/index.ts'
import { plain } from './plain.ts'

function read(inner: string): unknown {
  try {
    return plain(parseHcl(`a = "${inner}"`))
  } catch (error) {
    if (error instanceof HclError) return String(error)
    throw error
  }
}

function readJson(inner: string): unknown {
  try {
    return plain(parseHcl(`{"a":"${inner}"}`))
  } catch (error) {
    if (error instanceof HclError) return String(error)
    throw error
  }
}

describe('readQuoted', () => {
  it.each([
    ['\\a\\b\\f\\n\\r\\t\\v', '\x07\b\f\n\r\t\v'],
    ['\\\\ \\"', '\\ "'],
    ['\\101\\060', 'A0'],
    ['\\x41\\x7e', 'A~'],
    ['\\u00e4\\u20ac', '\u00e4\u20ac'],
    ['\\U0001F600', '\u{1F600}'],
    ['\\xc3\\xa4', '\u00e4'],
    ['\\303\\244x', '\u00e4x'],
    ['tab\there', 'tab\there'],
    ['\u{1F600}', '\u{1F600}'],
  ])('reads %s in HCL and JSON', (inner, value) => {
    expect(read(inner)).toEqual({ a: value })
    expect(readJson(inner)).toEqual({ a: value })
  })

  it.each([
    ['${a}', '${a}'],
    ['${f("x", "\\\\.")}', '${f("x", "\\\\.")}'],
    ['${a\nb}', '${a\nb}'],
    ['${{}}', '${{}}'],
    ['$${a}', '$${a}'],
    ['$$', '$$'],
    ['$', '$'],
    ['%{if}', '%{if}'],
    ['\\x24{x', '${x'],
  ])('keeps ${...} as written, with the quotes and line ends in it: %j', (inner, value) => {
    expect(read(inner)).toEqual({ a: value })
  })

  it('leaves an escape inside ${...} alone, where Go refuses those it does not know', () => {
    expect(read('${\\q}')).toEqual({ a: '${\\q}' })
  })

  it('gives ${...} no meaning in JSON', () => {
    expect(readJson('${\\"x\\"}')).toEqual({ a: '${"x"}' })
    expect(readJson('${')).toEqual({ a: '${' })
  })

  it.each([
    ['\\q', '1:6: unknown escape "\\q"; a backslash itself is written "\\\\"'],
    ["\\'", '1:6: unknown escape "\\\'"; a backslash itself is written "\\\\"'],
    ['\\/', '1:6: unknown escape "\\/"; write "/"'],
    ['\\8', '1:6: unknown escape "\\8"; a backslash itself is written "\\\\"'],
    ['\\18', '1:6: unknown escape "\\1"; a backslash itself is written "\\\\"'],
    ['\\x4', '1:6: unknown escape "\\x"; a backslash itself is written "\\\\"'],
    ['\\u12', '1:6: unknown escape "\\u"; a backslash itself is written "\\\\"'],
    ['\\400', '1:6: octal escape is more than one byte; the largest is \\377'],
    ['\\U00110000', '1:6: \\U00110000 is not a character'],
    ['\\Uffffffff', '1:6: \\Uffffffff is not a character'],
    ['\\ud83d\\ude00', '1:6: \\ud83d is half a character; write the character itself'],
    ['${x', '1:5: string has no closing quote: "${" is not closed'],
  ])('refuses %s', (inner, message) => {
    expect(read(inner)).toBe(message)
  })

  it('refuses bytes that are no UTF-8, which Go hands on', () => {
    expect(read('\\xff')).toMatch(/^1:\d+: escaped bytes are not UTF-8$/)
    expect(read('\\xc3x\\xa4')).toMatch(/^1:\d+: escaped bytes are not UTF-8$/)
    expect(read('\\377${x}')).toMatch(/^1:\d+: escaped bytes are not UTF-8$/)
  })

  it('refuses a backslash at the end of the text or line', () => {
    for (const text of ['a = "\\', 'a = "\\\n"']) {
      expect(() => parseHcl(text)).toThrow('string has no closing quote on its line')
    }
  })
})
