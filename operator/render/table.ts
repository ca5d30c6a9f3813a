/**
 * Tables of text.
 *
 * @module
 */
import { stripVTControlCharacters } from 'node:util'

/**
 * Draws a table: columns as wide as their widest cell, two blanks between them, none at the end of a line.
 *
 * @param rows The heading first; cells may be coloured.
 * @returns Lines without line ends.
 */
export function tableLines(rows: readonly (readonly string[])[]): readonly string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => widthOf(row[column] ?? ''))),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
      .join('  ')
      .trimEnd(),
  )
}

function widthOf(cell: string): number {
  return Array.from(stripVTControlCharacters(cell)).length
}
