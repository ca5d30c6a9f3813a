/**
 * JSON from strangers: its depth bounded before it is parsed, its kinds named without showing a value.
 *
 * @module
 */

/**
 * Tells whether JSON text nests deeper than a bound, without parsing it.
 *
 * @param text Any text.
 * @param depth The bound.
 * @returns True when more brackets than that are open at once, strings aside.
 */
export function isDeeperThan(text: string, depth: number): boolean {
  let open = 0
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at)
    if (char === 0x22) at = endOfString(text, at)
    else if (char === 0x7b || char === 0x5b) open += 1
    else if (char === 0x7d || char === 0x5d) open -= 1
    if (open > depth) return true
  }
  return false
}

function endOfString(text: string, start: number): number {
  let at = start
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1
    if (slashes % 2 === 0) return at
  }
}

/**
 * Tells whether a value is a JSON object.
 *
 * @param value Any parsed JSON.
 * @returns False for null and arrays.
 */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Names the kind of a JSON value, never the value.
 *
 * @param value Any parsed JSON, or undefined.
 * @returns Such as `a list`.
 */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/**
 * Parses JSON.
 *
 * @param text Any text.
 * @returns The value, or undefined when it is not JSON.
 */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
