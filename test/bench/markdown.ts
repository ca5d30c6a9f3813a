/**
 * Tables of the reports.
 *
 * @module
 */

/**
 * Prints a Markdown table under a heading.
 *
 * @param rows As many cells each.
 * @returns The text; empty when there are no rows.
 */
export function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  return [`### ${title}`, '', rowOf(head), rowOf(head.map(() => '---')), ...rows.map(rowOf)].join('\n')
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
