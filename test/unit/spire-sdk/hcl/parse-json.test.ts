import { describe, expect, it } from 'vitest'
import { HclError, parseHcl } from '../../../../plugins/spire-sdk/hcl/index.ts'
import { plain } from './plain.ts'

describe('parseJson', () => {
  it.each([
    ['{}', {}],
    [' \n\t{ } \n', {}],
    ['{"a": "x", "b": 1, "c": true, "d": false}', { a: 'x', b: { number: '1' }, c: true, d: false }],
    ['{"a": -0, "b": 1.5e-3}', { a: { number: '-0' }, b: { number: '1.5e-3' } }],
    [
      '{"a": [1, "x", true, [2], {"b": 3}]}',
      { a: [{ number: '1' }, 'x', true, [{ number: '2' }], { b: { number: '3' } }] },
    ],
    ['{"a": {"b": {"c": "d"}}}', { a: { b: { c: 'd' } } }],
    ['{"a b": {"__proto__": 1}}', { 'a b': Object.fromEntries([['__proto__', { number: '1' }]]) }],
  ])('reads %s', (text, expected) => {
    expect(plain(parseHcl(text))).toEqual(expected)
  })

  it('reads null as an empty string, as Go decodes it, and remembers that it was null', () => {
    expect(parseHcl('{"a": null}').entries[0]?.value).toMatchObject({ kind: 'string', form: 'null', value: '' })
  })

  it('allows the trailing comma that Go allows', () => {
    expect(plain(parseHcl('{"a": [1,],}'))).toEqual({ a: [{ number: '1' }] })
  })

  it('gives line and column', () => {
    const [entry] = parseHcl('{\n  "a": [\n    "x"\n  ]\n}').entries
    expect(entry?.key).toMatchObject({ line: 2, column: 3 })
    expect(entry?.value).toMatchObject({ line: 2, column: 8, items: [{ line: 3, column: 5 }] })
  })

  const refused: [name: string, text: string, message: string][] = [
    ['cut short', '{', '1:2: expected a key in double quotes or "}", found the end of the text'],
    ['cut short behind a key', '{"a"', '1:5: expected ":" after key "a", found the end of the text'],
    ['cut short behind a value', '{"a": 1', '1:8: expected "," or "}" in an object, found the end of the text'],
    ['cut short in a list', '{"a": [1', '1:9: expected "," or "]" in a list, found the end of the text'],
    ['with junk behind it', '{"a": 1} }', '1:10: expected the end of the text, found "}"'],
    ['without a value', '{"a":}', '1:6: "a": expected a value, found "}"'],
    ['with a key chain', '{"a" "b": 1}', '1:6: expected ":" after key "a", found "\\""'],
    ['with a bare key', '{a: 1}', '1:2: expected a key in double quotes or "}", found "a"'],
    ['with "=" for ":"', '{"a" = 1}', '1:6: expected ":" after key "a", found "="'],
    ['without a comma between members', '{"a": 1 "b": 2}', '1:9: expected "," or "}" in an object, found "\\""'],
    ['without a comma in a list', '{"a": [1 2]}', '1:10: expected "," or "]" in a list, found "2"'],
    ['with a doubled comma', '{"a": [1,,2]}', '1:10: expected a value, found ","'],
    ['with a leading comma', '{,}', '1:2: expected a key in double quotes or "}", found ","'],
    ['with null in a list', '{"a": [null]}', '1:8: null cannot stand in a list'],
    ['with a word', '{"a": yes}', '1:7: "a": expected a value, found yes'],
    ['with a comment', '{"a": 1 # x\n}', '1:9: expected "," or "}" in an object, found "#"'],
    ['with a leading zero', '{"a": 01}', '1:7: 01: a number cannot start with 0'],
    ['with a hexadecimal number', '{"a": 0x1}', '1:8: expected "," or "}" in an object, found "x"'],
    ['with a plus sign', '{"a": +1}', '1:7: "a": unexpected "+"'],
    ['with a string over two lines', '{"a": "x\ny"}', '1:7: string has no closing quote on its line'],
  ]
  for (const [name, text, message] of refused) {
    it(`refuses JSON ${name}`, () => {
      let said = 'parsed'
      try {
        parseHcl(text)
      } catch (error) {
        said = error instanceof HclError ? String(error) : `not an HclError: ${String(error)}`
      }
      expect(said).toBe(message)
    })
  }
})
