/**
 * The server blocks of an nginx configuration, by their braces.
 *
 * @module
 */

/** One block. */
export interface NginxServer {
  /** From 1. */
  readonly line: number
  readonly text: string
}

/**
 * Finds the `server` blocks.
 *
 * @param text The file.
 * @returns Each block with the line it begins in; comments are left out.
 */
export function nginxServers(text: string): readonly NginxServer[] {
  const bare = text.replaceAll(/#[^\n]*/g, '')
  return [...bare.matchAll(/\bserver\s*\{/g)].map((match) => {
    const from = match.index + match[0].length
    let depth = 1
    let end = from
    for (; end < bare.length && depth > 0; end += 1) depth += bare[end] === '{' ? 1 : bare[end] === '}' ? -1 : 0
    return { line: bare.slice(0, match.index).split('\n').length, text: bare.slice(from, end - 1) }
  })
}
