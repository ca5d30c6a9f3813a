import { describe, expect, it } from 'vitest'
import { HclError, type HclNode, parseHcl } from '../../../../plugins/spire-sdk/hcl/index.ts'
import { MAX_BYTES, MAX_DEPTH } from '../../../../plugins/spire-sdk/hcl/tree.ts'
import { type Plain, plain } from './plain.ts'

function errorOf(text: string): string {
  try {
    parseHcl(text)
  } catch (error) {
    if (error instanceof HclError) return String(error)
    throw error
  }
  return 'parsed'
}

function read(text: string): HclNode | undefined {
  return parseHcl(text).entries[0]?.value
}

const n = (number: string): Plain => ({ number })

describe('parseHcl', () => {
  const values: [name: string, text: string, expected: Plain][] = [
    ['no text at all', '', {}],
    ['only blanks and comments', ' \t\r\n# x\n// y\n/* z\n */ ', {}],
    ['a string', 'a = "x"', { a: 'x' }],
    ['an empty string', 'a = ""', { a: '' }],
    ['true and false', 'a = true\nb = false', { a: true, b: false }],
    ['a decimal number', 'a = 8881', { a: n('8881') }],
    ['a negative number', 'a = -7', { a: n('-7') }],
    ['an octal number', 'a = 017', { a: n('017') }],
    ['a hexadecimal number', 'a = 0xFf', { a: n('0xFf') }],
    ['a float', 'a = 1.5', { a: n('1.5') }],
    ['a float without fraction digits', 'a = 1.', { a: n('1.') }],
    ['a float without whole digits', 'a = .5', { a: n('.5') }],
    ['exponents', 'a = 1e3\nb = 2.5E-2\nc = 0e+1', { a: n('1e3'), b: n('2.5E-2'), c: n('0e+1') }],
    ['an empty list', 'a = []', { a: [] }],
    ['a list with a trailing comma', 'a = ["x", 1, true,]', { a: ['x', n('1'), true] }],
    ['a list over several lines with comments', 'a = [ # one\n "x", // two\n "y" /* three */\n]', { a: ['x', 'y'] }],
    ['lists in a list', 'a = [["x"], []]', { a: [['x'], []] }],
    ['objects in a list', 'a = [{ b = 1 }, {}]', { a: [{ b: n('1') }, {}] }],
    ['a block', 'a { b = 1 }', { a: { b: n('1') } }],
    ['an object set with "="', 'a = { b = 1 }', { a: { b: n('1') } }],
    ['an object with commas', 'a = { b = 1, c = 2, }', { a: { b: n('1'), c: n('2') } }],
    ['labels as nested blocks', 'a "b" "c" { d = 1 }', { a: { b: { c: { d: n('1') } } } }],
    ['unquoted labels', 'a b { }', { a: { b: {} } }],
    ['a repeated block', 'a { x = 1 }\na { x = 2 }', { a: [{ x: n('1') }, { x: n('2') }] }],
    ['quoted keys', '"a b" = 1\n"c" "d" { }', { 'a b': n('1'), c: { d: {} } }],
    ['two settings on one line', 'a = 1 b = 2', { a: n('1'), b: n('2') }],
    ['a comma between settings', 'a = 1, b = 2', { a: n('1'), b: n('2') }],
    ['dots and dashes in keys', 'a-b.c = 1', { 'a-b.c': n('1') }],
    ['letters beyond ASCII in keys', '\u00e4\u00df = 1', { '\u00e4\u00df': n('1') }],
    ['true and false with more behind as keys', 'true-x = 1', { 'true-x': n('1') }],
    ['a comment between key and value', 'a = # why\n 1', { a: n('1') }],
    ['CRLF line ends', 'a = 1\r\nb = "x"\r\n', { a: n('1'), b: 'x' }],
    ['a last line without line end', 'a = 1\n# end', { a: n('1') }],
  ]
  for (const [name, text, expected] of values) {
    it(`reads ${name}`, () => {
      expect(plain(parseHcl(text))).toEqual(expected)
    })
  }

  const refused: [name: string, text: string, message: string][] = [
    ['a key without value at the end', 'a =', '1:4: "a" has no value: found the end of the text'],
    ['a key without value before "}"', 'a { b = }', '1:9: "b" has no value: found "}"'],
    ['a key alone', 'a', '1:2: expected "=" or "{" after key "a", found the end of the text'],
    ['plugin_data that was a string', '"x"', '1:4: expected "=" or "{" after key "x", found the end of the text'],
    ["SPIRE's print of a JSON null", '"n" =\n\n"m" = 1', '3:5: expected a key, found "="; does "n" lack a value?'],
    ['a value without key', '= 1', '1:1: expected a key, found "="'],
    ['a number as key', '1 = 2', '1:1: expected a key, found the number 1'],
    ['true as key', 'true = 1', '1:1: expected a key, found "true"'],
    ['an object as value of a labelled key', 'a b = {}', '1:5: expected "{" after "a" "b", found "="'],
    ['a colon', 'a: 1', '1:2: unexpected ":"; write "key = value"'],
    ['single quotes', "a = 'x'", '1:5: unexpected "\'"; strings stand in double quotes'],
    ['an unquoted string', 'a = yes', '1:5: "a": expected a value, found "yes"; strings stand in quotes'],
    ['null', 'a = null', '1:5: "a": expected a value, found "null"; strings stand in quotes'],
    ['a plus sign', 'a = +1', '1:5: unexpected "+"'],
    ['a lone minus sign', 'a = - 1', '1:5: unexpected "-"'],
    ['a missing bracket', 'a = ["x"', '1:9: expected "," or "]" in a list, found the end of the text'],
    ['a missing comma in a list', 'a = ["x" "y"]', '1:10: expected "," or "]" in a list, found "y"'],
    ['a leading comma in a list', 'a = [, 1]', '1:6: expected a value or "]" in a list, found ","'],
    ['a doubled comma in a list', 'a = [1,,2]', '1:8: expected a value or "]" in a list, found ","'],
    ['lists in a list without comma', 'a = [["a"]["b"]]', '1:11: expected "," or "]" in a list, found "["'],
    ['a comma in front', ', a = 1', '1:1: expected a key, found ","'],
    ['a missing brace', 'a { b = 1', '1:10: expected a key or "}", found the end of the text'],
    ['a brace too many', 'a = 1 }', '1:7: expected a key, found "}"'],
    ['a string that runs to the next line', 'a = "x\n"', '1:5: string has no closing quote on its line'],
    ['a comment that never ends', 'a = 1 /* x', '1:7: comment not terminated'],
    ['half a comment mark', 'a = 1 / x', '1:7: expected "//" or "/*", found "/"'],
    ['hexadecimal without digits', 'a = 0x', '1:5: 0x is not a number: hexadecimal digits expected'],
    ['octal with 9', 'a = 0179', '1:5: 0179 is not a number: a leading 0 means octal'],
    ['an exponent without digits', 'a = 1e', '1:5: 1 is not a number'],
    ['an exponent behind ".5"', 'a = .5e3', '1:5: .5e3 is not a number'],
    ['a byte order mark', '\uFEFFa = 1', '1:1: unexpected byte order mark; save the text without it'],
    ['a NUL', 'a = "\0"', '1:6: unexpected character "\\u0000"'],
    ['the code point Go keeps for itself', 'a = "\uE123"', '1:6: unexpected character "\uE123"'],
    ['half a surrogate pair', 'a = "\uD83D"', '1:6: unexpected character "\\ud83d"'],
    ['no-break space', 'a =\u00a01', '1:4: unexpected "\u00a0"'],
  ]
  for (const [name, text, message] of refused) {
    it(`refuses ${name}, with the place`, () => {
      expect(errorOf(text)).toBe(message)
    })
  }

  it('refuses a key set twice, where Go keeps the last in silence', () => {
    expect(errorOf('a = 1\n\n  a = 2')).toBe('3:3: "a" was already set at 1:1')
    expect(errorOf('x {\n a = 1\n a = 2\n}')).toBe('3:2: "a" was already set at 2:2')
    expect(errorOf('l = [{ a = 1 a = 2 }]')).toBe('1:14: "a" was already set at 1:8')
    expect(errorOf('a = [1]\na = [2]')).toBe('2:1: "a" was already set at 1:1')
    expect(errorOf('a { }\na = 1')).toBe('2:1: "a" was already set at 1:1')
    expect(errorOf('a = 1\na { }')).toBe('2:1: "a" was already set at 1:1')
    expect(errorOf('{"a": 1, "a": 2}')).toBe('1:10: "a" was already set at 1:2')
  })

  it('takes objects set twice with "=", as SPIRE prints a JSON list of objects', () => {
    expect(plain(parseHcl('"a" = {\n  "x" = 1\n}\n\n"a" = {\n  "y" = 2\n}'))).toEqual({
      a: [{ x: n('1') }, { y: n('2') }],
    })
  })

  it('takes a label beside the same block without label, where Go fails', () => {
    expect(plain(parseHcl('x { }\nx "l" { a = 1 }'))).toEqual({ x: [{}, { l: { a: n('1') } }] })
  })

  it('counts columns in characters, not in bytes or UTF-16 units', () => {
    const [a, b] = parseHcl('"\u{1F600}\u00e4" = 1 b = "x"').entries
    expect(a?.value).toMatchObject({ line: 1, column: 8 })
    expect(b?.key).toMatchObject({ line: 1, column: 10 })
  })

  it('gives line and column for every key, label and value', () => {
    const [block] = parseHcl('\n  a "b" {\n    c = [\n      1,\n    ]\n  }\n').entries
    expect(block?.key).toMatchObject({ text: 'a', line: 2, column: 3 })
    expect(block?.labels).toEqual([{ text: 'b', line: 2, column: 5 }])
    expect(block?.value).toMatchObject({ kind: 'object', line: 2, column: 9 })
    const list = block?.value.kind === 'object' ? block.value.entries[0]?.value : undefined
    expect(list).toMatchObject({ kind: 'list', line: 3, column: 9, items: [{ text: '1', line: 4, column: 7 }] })
  })

  it('takes 1 MiB and refuses more', () => {
    const text = `a = "${'x'.repeat(MAX_BYTES - 6)}"`
    expect(text).toHaveLength(MAX_BYTES)
    expect(parseHcl(text).entries).toHaveLength(1)
    expect(errorOf(`${text} `)).toBe('1:1: configuration is larger than 1048576 bytes')
    expect(errorOf(`a = "${'\u20ac'.repeat(MAX_BYTES / 3)}"`)).toBe('1:1: configuration is larger than 1048576 bytes')
  })

  it.each([
    ['lists', (depth: number) => `a = ${'['.repeat(depth)}${']'.repeat(depth)}`],
    ['blocks', (depth: number) => `${'a {'.repeat(depth)}${'}'.repeat(depth)}`],
    ['JSON objects', (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`],
  ])('takes %s 64 deep and refuses more', (_name, nested) => {
    expect(errorOf(nested(MAX_DEPTH))).toBe('parsed')
    expect(errorOf(nested(MAX_DEPTH + 1))).toContain('nested more than 64 deep')
    expect(errorOf(nested(100_000))).toContain('nested more than 64 deep')
  })

  it.each([
    [
      'one long line of settings',
      'a = 1 '.repeat(170_000).replaceAll('a', () => `k${Math.trunc(Math.random() * 1e9)}`),
    ],
    ['unclosed comments', '/*'.repeat(500_000)],
    ['stars', `/*${'*'.repeat(1_000_000)}`],
    ['heredoc marks', '<<a\n'.repeat(250_000)],
    ['heredoc indents', `a = <<-E\n${' '.repeat(500_000)}\v\n${' '.repeat(500_000)}E\n`],
    ['interpolations', `a = "${'${'.repeat(500_000)}"`],
    ['backslashes', `a = "${'\\\\'.repeat(500_000)}"`],
    ['digits', `a = ${'1'.repeat(1_000_000)}`],
  ])('reads or refuses 1 MiB of %s within the test time limit', (_name, text) => {
    expect(() => errorOf(text.slice(0, MAX_BYTES))).not.toThrow()
  })
})

describe('heredocs', () => {
  it('keep their lines, and lose the carriage returns of CRLF files', () => {
    expect(read('a = <<EOF\nx\n  y\n\nEOF\n')).toMatchObject({
      form: 'heredoc',
      value: 'x\n  y\n\n',
      line: 1,
      column: 5,
    })
    expect(read('a = <<EOF\r\nx\r\nEOF\r\n')).toMatchObject({ value: 'x\n' })
    expect(read('a = <<EOF\nEOF\n')).toMatchObject({ value: '' })
  })

  it('keep escapes and quotes as written', () => {
    expect(read('a = <<EOF\n"\\n" ${x}\nEOF\n')).toMatchObject({ value: '"\\n" ${x}\n' })
  })

  it('keep the indent of an indented end marker as trailing blanks, as Go does', () => {
    expect(read('a = <<EOF\n  x\n  EOF\n')).toMatchObject({ value: '  x\n  ' })
  })

  it('need an indented end marker after "<<-", as Go does', () => {
    expect(errorOf('a = <<-EOF\nx\nEOF\n')).toBe('1:5: heredoc not terminated: no indented line with only EOF')
    expect(read('a = <<-EOF\nEOF\n EOF\n')).toMatchObject({ value: 'EOF\n' })
  })

  it('lose the end marker indent after "<<-" only when every line has it', () => {
    expect(read('a = <<-EOF\n    x\n  y\n  EOF\n')).toMatchObject({ value: '  x\ny\n' })
    expect(read('a = <<-EOF\n    x\n y\n  EOF\n')).toMatchObject({ value: '    x\n y\n' })
    expect(read('a = <<-EOF\n  x\n\n  EOF\n')).toMatchObject({ value: '  x\n\n' })
    expect(read('a = <<-EOF\n\tx\n\tEOF\n')).toMatchObject({ value: 'x\n' })
  })

  it('take letters, digits and underscores as marker', () => {
    expect(read('a = <<\u00c4_9\nx\n\u00c4_9\n')).toMatchObject({ value: 'x\n' })
    expect(errorOf('a = <<\nx\n')).toBe('1:5: heredoc without a marker; write "<<EOF"')
    expect(errorOf('a = <<-\nx\n')).toBe('1:5: heredoc without a marker; write "<<EOF"')
    expect(errorOf('a = <EOF\n')).toBe('1:5: unexpected "<"; a heredoc starts with "<<"')
    expect(errorOf('a = <<E F\nE F\n')).toBe('1:8: heredoc: expected the end of the line behind the marker')
  })

  it('may end with the text, as SPIRE prints a heredoc in the last key and Go then refuses it', () => {
    expect(read('a = <<EOF\nx\nEOF')).toMatchObject({ value: 'x\n' })
    expect(read('a = <<-EOF\n  x\n  EOF')).toMatchObject({ value: 'x\n' })
    expect(errorOf('a = <<EOF\nx\n')).toBe('1:5: heredoc not terminated: no line with only EOF')
    expect(errorOf('a = <<EOF\nx')).toBe('1:5: heredoc not terminated: no line with only EOF')
  })

  it('refuse a carriage return behind the end marker, where Go cuts the value', () => {
    expect(errorOf('a = <<EOF\nx\nEOF\r\r\n')).toBe('3:1: carriage return behind the heredoc marker EOF')
  })

  it('may stand in a list', () => {
    expect(plain(parseHcl('a = [<<A\nx\nA\n, <<B\ny\nB\n]'))).toEqual({ a: ['x\n', 'y\n'] })
  })
})
