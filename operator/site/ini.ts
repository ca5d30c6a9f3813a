/**
 * INI files by the rules of Python's `RawConfigParser`, which Keylime reads its configuration with.
 *
 * Full-line comments only (`#`, `;`), `=` or `:` as delimiter, keys in lower case, indented lines continue a value, a
 * section or key that stands twice is an error of the whole file, `[DEFAULT]` shows in every section.
 *
 * @see python/cpython, Lib/configparser.py, `RawConfigParser._read`
 * @module
 */

/** What an INI file says. */
export interface IniFile {
  /** Section to key to value; `DEFAULT` stands apart. */
  readonly sections: ReadonlyMap<string, ReadonlyMap<string, IniValue>>
}

/** One value. */
export interface IniValue {
  readonly text: string
  /** Line of its key, from 1. */
  readonly line: number
}

/** A file that Python would refuse as a whole. */
export class IniError extends Error {
  override readonly name = 'IniError'
  /** From 1. */
  readonly line: number

  /**
   * @param line Where.
   * @param message What was expected and found.
   */
  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

interface Open {
  readonly key: string
  readonly line: number
  readonly lines: string[]
}

/**
 * Reads an INI text.
 *
 * @param text The file.
 * @returns Its sections.
 * @throws {IniError} What makes Python skip the file.
 */
export function parseIni(text: string): IniFile {
  const reader = new IniReader()
  // Python's universal newlines; the end of the last line is no line of its own.
  const lines = text.split(/\r\n|\r|\n/)
  if (lines.at(-1) === '') lines.pop()
  lines.forEach((line, index) => reader.add(line, index + 1))
  return { sections: reader.finish() }
}

/**
 * Looks a value up.
 *
 * @param file The file.
 * @param section Its section.
 * @param key Its key, in lower case.
 * @returns The section's value, or that of `DEFAULT`.
 */
export function iniValue(file: IniFile, section: string, key: string): IniValue | undefined {
  const own = file.sections.get(section)
  return own === undefined ? undefined : (own.get(key) ?? file.sections.get('DEFAULT')?.get(key))
}

class IniReader {
  readonly #sections = new Map<string, Map<string, IniValue>>()
  #section: Map<string, IniValue> | undefined
  #sectionName = ''
  #open: Open | undefined
  #indent = 0

  add(raw: string, number: number): void {
    const line = strip(raw)
    if (/^[#;]/.test(line)) return
    if (line === '') {
      // An empty line may belong to the value before it.
      this.#open?.lines.push('')
      return
    }
    const indent = Array.from(LEADING_SPACE.exec(raw)?.[0] ?? '').length
    if (this.#open !== undefined && indent > this.#indent) {
      this.#open.lines.push(line)
      return
    }
    this.#indent = indent
    this.#begin(line, number)
  }

  finish(): ReadonlyMap<string, ReadonlyMap<string, IniValue>> {
    this.#close()
    return this.#sections
  }

  #begin(line: string, number: number): void {
    const header = /^\[([^\n]+)\]/.exec(line)
    if (header !== null) return this.#beginSection(header[1] ?? '', number)
    if (this.#section === undefined) throw new IniError(number, 'a line stands before the first [section]')
    const delimiter = /[=:]/.exec(line)
    if (delimiter === null) throw new IniError(number, 'expected "key = value" or "[section]"')
    const key = strip(line.slice(0, delimiter.index)).toLowerCase()
    this.#beginKey(key, strip(line.slice(delimiter.index + 1)), number)
  }

  #beginSection(name: string, number: number): void {
    this.#close()
    if (this.#sections.has(name) && name !== 'DEFAULT') {
      throw new IniError(number, `section [${name}] stands twice: Python refuses the whole file`)
    }
    this.#section = this.#sections.get(name) ?? new Map()
    this.#sectionName = name
    this.#sections.set(name, this.#section)
  }

  #beginKey(key: string, value: string, number: number): void {
    this.#close()
    if (key === '') throw new IniError(number, 'the key is empty')
    if (this.#section?.has(key) === true) {
      throw new IniError(number, `key "${key}" stands twice in [${this.#sectionName}]: Python refuses the whole file`)
    }
    this.#open = { key, line: number, lines: [value] }
    this.#section?.set(key, { text: value, line: number })
  }

  #close(): void {
    if (this.#open === undefined) return
    const { key, line, lines } = this.#open
    this.#section?.set(key, { text: stripEnd(lines.join('\n')), line })
    this.#open = undefined
  }
}

// What Python takes for white space; JavaScript's own class differs in six characters.
const SPACE = '[\\t\\n\\v\\f\\r\\x1c-\\x1f \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
const LEADING_SPACE = new RegExp(`^${SPACE}+`)
const TRAILING_SPACE = new RegExp(`${SPACE}+$`)

function strip(text: string): string {
  return stripEnd(text.replace(LEADING_SPACE, ''))
}

function stripEnd(text: string): string {
  return text.replace(TRAILING_SPACE, '')
}
