/**
 * Texts that leave the machine: what is secret in configuration is replaced, and what looks like a secret stops them.
 *
 * @module
 */

const { raw } = String

/** A key that names a secret, up to its value. */
const KEY = raw`["']?[\w.-]*(?:passw|passphrase|secret|token|private|credential|api_?key|access_?key)[\w.-]*["']?[ \t]*[:=][ \t]*`

/** A value over several lines: `key = <<EOF` to `EOF`. */
const HEREDOC = new RegExp(raw`(${KEY})<<-?(\w+)\r?\n[^]*?^[ \t]*\2[ \t]*$`, 'gim')

/** A line by which an INI file goes on with a value: indented, and neither a key nor the end of a block. */
const MORE = raw`\r?\n[ \t]+(?!["']?[\w.-]+["']?[ \t]*[:={])[^\s#;}\]].*`

/** A key that begins a line: its value is the rest. */
const LINE = new RegExp(raw`^([ \t]*${KEY}).*(?:${MORE})*`, 'gim')

/** A key within a line: of a block on one line, of JSON, of a connection string. */
const WITHIN = new RegExp(raw`([\s{,;?&"'(]${KEY})("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s"',;&}]+)`, 'gi')

/** The password of a URL. */
const IN_URL = /([a-z][a-z0-9+.-]*:\/\/[^\s:@/"']*:)[^\s@"']+@/gi

const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, 'a private key'],
  [/\b(?:hvs|hvb|hvr|s|b)\.[A-Za-z0-9_-]{24,}/, 'a vault token'],
  [/\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/, 'a JWT'],
  [/\bAKIA[0-9A-Z]{16}\b/, 'an access key'],
]

/**
 * Takes secrets out of a configuration text, be it HCL, JSON, TOML or INI.
 *
 * @param text The text.
 * @returns The same with every value of a key that names a secret replaced, wherever it stands, and passwords in URLs.
 */
export function redacted(text: string): string {
  return text
    .replace(HEREDOC, '$1"(redacted)"')
    .replace(LINE, '$1"(redacted)"')
    .replace(WITHIN, '$1"(redacted)"')
    .replace(IN_URL, '$1(redacted)@')
}

/**
 * Looks for what has the shape of a secret.
 *
 * @param text The text.
 * @returns What was found; empty when nothing was.
 */
export function secretsIn(text: string): readonly string[] {
  return SHAPES.filter(([pattern]) => pattern.test(text)).map(([, name]) => name)
}
