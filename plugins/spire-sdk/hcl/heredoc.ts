/**
 * Heredocs: `<<X` and `<<-X`, with Go's own ideas of indentation.
 *
 * @module
 */
import type { Cursor } from './cursor.ts'

const ANCHOR = /<<(-?)([\p{L}\p{Nd}_]*)/uy

interface Heredoc {
  readonly indented: boolean
  readonly marker: string
  /** Where the body starts. */
  readonly from: number
}

/**
 * Reads a heredoc whose first `<` is next, and moves past the line of its end marker.
 *
 * @param cursor Stands on the first `<`.
 * @returns The text it means.
 * @throws {HclError} No marker, something behind it, or no line that ends it.
 */
export function readHeredoc(cursor: Cursor): string {
  const start = cursor.offset
  const heredoc = readAnchor(cursor)
  const { text } = cursor
  for (let line = heredoc.from; ; ) {
    const newline = text.indexOf('\n', line)
    // Go wants a newline behind the marker, but SPIRE prints none at the end: a heredoc in the last key ends there.
    const end = newline === -1 ? text.length : newline
    const ended = text.slice(line, end)
    const indent = ended.slice(0, Math.max(0, ended.length - heredoc.marker.length))
    if (ended.endsWith(heredoc.marker) && isBlank(indent) && (indent !== '' || !heredoc.indented)) {
      cursor.offset = Math.min(end + 1, text.length)
      const body = text.slice(heredoc.from, line)
      return heredoc.indented ? withoutIndent(body, indent) : body + indent
    }
    if (ended.endsWith('\r') && ended.trim() === heredoc.marker) {
      cursor.fail(line, `carriage return behind the heredoc marker ${heredoc.marker}`)
    }
    if (newline === -1) cursor.fail(start, notTerminated(heredoc))
    line = end + 1
  }
}

function readAnchor(cursor: Cursor): Heredoc {
  const start = cursor.offset
  const [, dash, marker] = cursor.match(ANCHOR) ?? cursor.fail(start, 'unexpected "<"; a heredoc starts with "<<"')
  if (cursor.peek() !== '\n') cursor.fail(cursor.offset, 'heredoc: expected the end of the line behind the marker')
  if (marker === undefined || marker === '') cursor.fail(start, 'heredoc without a marker; write "<<EOF"')
  cursor.offset += 1
  return { indented: dash === '-', marker, from: cursor.offset }
}

function notTerminated({ indented, marker }: Heredoc): string {
  return indented
    ? `heredoc not terminated: no indented line with only ${marker}`
    : `heredoc not terminated: no line with only ${marker}`
}

function isBlank(text: string): boolean {
  return /^[ \t\v\f\r]*$/.test(text)
}

/** Strips the end marker's indent from every line, or from none if some line has less. */
function withoutIndent(body: string, indent: string): string {
  const lines = body.split('\n').slice(0, -1)
  if (lines.every((line) => line.startsWith(indent)))
    return lines.map((line) => `${line.slice(indent.length)}\n`).join('')
  return body + withoutTrailingBlanks(indent.slice(0, -1))
}

function withoutTrailingBlanks(text: string): string {
  let end = text.length
  while (end > 0 && ' \t'.includes(text.charAt(end - 1))) end -= 1
  return text.slice(0, end)
}
