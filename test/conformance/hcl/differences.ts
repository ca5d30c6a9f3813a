/**
 * Where we differ from Go's HCL on purpose. Data: each has a name, and a text that shows it.
 *
 * @module
 */

/** Which of the two takes the text. */
type Side = 'only Go' | 'only we' | 'both, with another value'

/** One deliberate difference. */
export interface Difference {
  readonly name: string
  readonly why: string
  readonly side: Side
  /** Matches our error (side `only Go`) or Go's error (side `only we`). */
  readonly message?: RegExp
  /** A further condition on the text. */
  readonly text?: RegExp
  /** A text that shows it; a test proves that it still differs. */
  readonly example: string
}

const JSON_TEXT = /^\s*\{/

/** Of the tree: `parseHcl` beside `hcl.Parse` and `hcl.Decode` into an interface. */
export const TREE_DIFFERENCES: readonly Difference[] = [
  {
    name: 'key set twice',
    why: 'Go keeps the last of two scalars and joins two lists, in silence',
    side: 'only Go',
    message: /was already set at/,
    example: 'a = 1\na = 2',
  },
  {
    name: 'missing value at the end',
    why: 'Go drops the key in silence',
    side: 'only Go',
    message: /has no value: found the end of the text/,
    example: 'b =',
  },
  {
    name: 'doubled or leading comma in a list',
    why: 'a value was lost there, or never written',
    side: 'only Go',
    message: /expected a value(, found ","| or "]" in a list, found ",")/,
    example: 'a = [1,,2]',
  },
  {
    name: 'no comma behind a list in a list',
    why: 'everywhere else in a list the comma is needed',
    side: 'only Go',
    message: /expected "," or "]" in a list/,
    example: 'a = [["a"]["b"]]',
  },
  {
    name: 'impossible escape in what Go does not look at',
    why: 'Go drops a key without value before it looks at the escape, or never needs the value',
    side: 'only Go',
    message: /octal escape is more than one byte/,
    example: '{"\\400a":}',
  },
  {
    name: 'NUL in JSON',
    why: 'Go takes it for the end of the text',
    side: 'only Go',
    text: JSON_TEXT,
    message: /unexpected character/,
    example: '{"a": 1}\0x',
  },
  {
    name: 'JSON that is not JSON',
    why: 'Go takes text cut short, with junk behind it, without commas, colons or values, and drops what it does not understand',
    side: 'only Go',
    text: JSON_TEXT,
    message:
      /expected (a value|a key in double quotes|"[,:]"|the end of the text)|null cannot stand in a list|unexpected|is not a number$/,
    example: '{"a":',
  },
  {
    name: 'escaped bytes that are not UTF-8',
    why: 'no path or host name is meant by them',
    side: 'only Go',
    message: /escaped bytes are not UTF-8/,
    example: 'a = "\\xff"',
  },
  {
    name: 'half of a surrogate pair',
    why: 'Go puts U+FFFD in its place in HCL',
    side: 'only Go',
    message: /is half a character/,
    example: 'a = "\\ud83d"',
  },
  {
    name: 'escape beyond the last character',
    why: 'Go overflows and writes one byte',
    side: 'only Go',
    message: /is not a character$/,
    example: 'a = "\\Uffffffff"',
  },
  {
    name: 'carriage return behind a heredoc marker',
    why: 'Go cuts the value at the wrong place',
    side: 'only Go',
    message: /carriage return behind the heredoc marker|expected the end of the line behind the marker/,
    example: 'a = <<EOF\nx\nEOF\r\r\n',
  },
  {
    name: 'nested too deep',
    why: 'our own bound; Go has none',
    side: 'only Go',
    message: /nested more than 64 deep/,
    example: `a = ${'['.repeat(65)}${']'.repeat(65)}`,
  },
  {
    name: 'object set twice with "="',
    why: 'SPIRE prints a JSON list of objects that way; nothing is lost, both are merged',
    side: 'only we',
    message: /^The argument .* was already set/s,
    text: /=\s*\{/,
    example: 'a = { x = 1 }\na = { y = 2 }',
  },
  {
    name: 'heredoc that ends with the text',
    why: 'SPIRE prints no newline at the end, so that a heredoc in the last key would never be read',
    side: 'only we',
    message: /heredoc not terminated/,
    text: /<</,
    example: 'a = <<EOF\nx\nEOF',
  },
  {
    name: 'block with and without label',
    why: 'Go cannot put both into one map',
    side: 'only we',
    message: /map must have string keys/,
    example: 'x { }\nx "l" { }',
  },
  {
    name: 'escape inside ${...}',
    why: 'Go checks escapes there and then does not use them',
    side: 'only we',
    message: /illegal char escape|literal not terminated|unquote .* err: invalid syntax/s,
    text: /\$\{.*\\/s,
    example: 'a = "${\\q}"',
  },
  {
    name: 'U+FFFD inside ${...}',
    why: 'Go takes the character itself for a decoding error, and crashes',
    side: 'only we',
    message: /^panic: unquote /,
    text: /\$\{.*\uFFFD/s,
    example: 'a = "${\uFFFD}"',
  },
  {
    name: 'lists in a JSON list',
    why: 'Go skips the inner bracket and ends at the first one that closes',
    side: 'only we',
    text: /^\s*\{.*\[[^\]]*\[/s,
    message: /expected: STRING got: |unexpected token while parsing list|Expected object value/,
    example: '{"a": [[1], [2]]}',
  },
  {
    name: 'lists and true or false in a JSON list',
    why: 'Go leaves them out in silence',
    side: 'both, with another value',
    text: JSON_TEXT,
    example: '{"a": [true, 1]}',
  },
]

/** Of the values: `decodeConfig` beside `hcl.Decode` into a struct, for texts whose tree is the same. */
export const VALUE_DIFFERENCES: readonly Difference[] = [
  {
    name: 'unknown key',
    why: 'Go ignores it, and its default is used instead',
    side: 'only Go',
    message: /: unknown key/,
    example: 'txet = "x"',
  },
  {
    name: 'key set twice in two spellings',
    why: 'keys match without regard to case, so both set the same field',
    side: 'only Go',
    message: /: already set at/,
    example: 'text = "x"\nTEXT = "y"',
  },
  {
    name: 'empty string in a list',
    why: 'no item is meant by it',
    side: 'only Go',
    message: /expected a string in the list, found (the string ""|null)/,
    example: 'list = [""]',
  },
  {
    name: 'whole number beyond 2^53',
    why: 'it would be rounded',
    side: 'only Go',
    message: /expected a whole number/,
    text: /[0-9a-fA-F_]{14}/,
    example: 'count = 9007199254740993',
  },
  {
    name: 'empty block for a list',
    why: 'Go makes an empty list of it, and refuses any other block',
    side: 'only Go',
    message: /expected a list of strings, found a block/,
    example: 'list { }',
  },
  {
    name: 'empty string for a number',
    why: 'an empty string counts as not given',
    side: 'only we',
    message: /strconv.ParseInt: parsing "": invalid syntax/,
    example: 'count = ""',
  },
  {
    name: 'block as a list of objects',
    why: 'JSON repeats a block that way',
    side: 'only we',
    message: /not an object type for struct \(\*ast.ListType\)/,
    example: 'block = [{ text = "x" }]',
  },
]

/** Of what SPIRE prints: its parser and printer lose or break these before a plugin sees the text. */
export const PRINTED_DIFFERENCES: readonly Omit<Difference, 'side' | 'message'>[] = [
  {
    name: 'JSON null',
    why: 'printed as nothing at all, which no parser reads; our error asks whether the key lacks a value',
    text: /^\s*\{.*null/s,
    example: '{"a": null, "b": 1}',
  },
  {
    name: 'true or false in a JSON list',
    why: 'left out by the parser',
    text: /^\s*\{.*(true|false)/s,
    example: '{"a": [true]}',
  },
  {
    name: 'list in a JSON list',
    why: 'the parser skips the inner bracket',
    text: /^\s*\{.*\[[^\]]*\[/s,
    example: '{"a": [[1]]}',
  },
  {
    name: 'stray carriage return in a heredoc',
    why: 'the printed text is parsed once more, and each parse turns CRLF into a line end',
    text: /<<.*\r/s,
    example: 'a = <<EOF\r\nx\r\r\nEOF\r\n',
  },
  {
    name: '"${" in JSON',
    why: 'text in JSON, the start of an interpolation in what is printed',
    text: /^\s*\{.*\$\{/s,
    example: '{"a": "${"}',
  },
]
