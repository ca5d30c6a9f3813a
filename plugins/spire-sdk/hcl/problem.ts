/**
 * What is wrong with a configuration, and where: the one error of this room and the problems a decode collects.
 *
 * @module
 */

/** A place in the text: both count from 1, a column is one character (code point), as in SPIRE's own messages. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** The error of a text that is neither HCL 1 nor JSON, with the place: the only one that `parseHcl` throws. */
export class HclError extends Error implements Position {
  override readonly name = 'HclError'
  readonly line: number
  readonly column: number

  /**
   * Makes an error that points at one place.
   *
   * @param at Where the text stops making sense.
   * @param message What was expected and found, without the position.
   */
  constructor(at: Position, message: string) {
    super(message)
    this.line = at.line
    this.column = at.column
  }

  /**
   * Puts the position in front, as SPIRE prints it.
   *
   * @returns `line:column: message`.
   */
  override toString(): string {
    return `${this.line}:${this.column}: ${this.message}`
  }
}

/** One thing wrong, or worth a warning, in a configuration. */
export class Problem implements Position {
  readonly line: number
  readonly column: number
  readonly key: string | undefined
  readonly message: string

  /**
   * Makes a problem about one key, or about the text itself.
   *
   * @param at Where the key or its value stands; `1:1` for a key that is missing.
   * @param key The key as the text spells it, nested keys joined by dots; undefined for a syntax error.
   * @param message What was expected and found, without position and key.
   */
  constructor(at: Position, key: string | undefined, message: string) {
    this.line = at.line
    this.column = at.column
    this.key = key
    this.message = message
  }

  /**
   * Puts position and key in front, for a log line or a note of `Validate`.
   *
   * @returns `line:column: key: message`.
   */
  toString(): string {
    const key = this.key === undefined ? '' : `${this.key}: `
    return `${this.line}:${this.column}: ${key}${this.message}`
  }
}

/**
 * Sorts problems by position and drops the ones that say the same thing of the same place.
 *
 * @param problems In any order.
 * @returns A new list.
 */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const unique = new Map(problems.map((problem) => [String(problem), problem]))
  return [...unique.values()].toSorted((a, b) => a.line - b.line || a.column - b.column)
}
