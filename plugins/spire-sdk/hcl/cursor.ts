/**
 * A place in the text that moves forward and can say its line and column at any time.
 *
 * @module
 */
import { HclError, type Position } from './problem.ts'

/** Walks one text. `offset` counts UTF-16 units; positions count characters. */
export class Cursor {
  readonly text: string
  offset = 0
  // The last place asked for. Places come in order, so counting on from it keeps a 1 MiB line linear.
  #offset = 0
  #line = 1
  #column = 1

  /**
   * Starts at the first character.
   *
   * @param text Any text; line ends already `\n`.
   */
  constructor(text: string) {
    this.text = text
  }

  /**
   * Looks ahead without moving.
   *
   * @param ahead How many UTF-16 units ahead, 0 for the next.
   * @returns One whole character, or an empty string at the end.
   */
  peek(ahead = 0): string {
    const point = this.text.codePointAt(this.offset + ahead)
    return point === undefined ? '' : String.fromCodePoint(point)
  }

  /**
   * Takes what a pattern matches here.
   *
   * @param pattern A sticky expression.
   * @returns The match, with the cursor behind it; null, with the cursor unmoved, if there is none.
   */
  match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.offset
    const found = pattern.exec(this.text)
    if (found !== null) this.offset += found[0].length
    return found
  }

  /**
   * Finds line and column of a place.
   *
   * @param offset In UTF-16 units; beyond the end counts as the end.
   * @returns The position, both from 1.
   */
  position(offset: number): Position {
    if (offset < this.#offset) {
      this.#offset = 0
      this.#line = 1
      this.#column = 1
    }
    const end = Math.min(offset, this.text.length)
    for (let at = this.#offset; at < end; at += 1) {
      const unit = this.text.charCodeAt(at)
      if (unit === 10) {
        this.#line += 1
        this.#column = 1
      } else if (unit < 0xdc00 || unit > 0xdfff) {
        this.#column += 1
      }
    }
    this.#offset = end
    return { line: this.#line, column: this.#column }
  }

  /**
   * Gives up.
   *
   * @param offset The place to point at.
   * @param message What was expected and found.
   * @throws {HclError} Always.
   */
  fail(offset: number, message: string): never {
    throw new HclError(this.position(offset), message)
  }
}
