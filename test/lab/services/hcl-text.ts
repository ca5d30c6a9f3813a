/**
 * Configuration objects as the text SPIRE reads: HCL 1, or JSON of the same meaning.
 *
 * @module
 */

/** A value of a configuration. An object under a key becomes a block; its key may hold labels, as in `Type "name"`. */
export type ConfValue = string | number | boolean | readonly ConfValue[] | ConfObject
/** A block's content. */
export interface ConfObject {
  readonly [key: string]: ConfValue
}

/**
 * Renders an object as HCL.
 *
 * @param object Keys and values; objects become blocks.
 * @param indent Spaces before each line.
 * @returns The text, ending with a newline unless empty.
 */
export function renderHcl(object: ConfObject, indent = ''): string {
  return Object.entries(object)
    .map(([key, value]) =>
      isObject(value)
        ? `${indent}${key} {\n${renderHcl(value, `${indent}  `)}${indent}}\n`
        : `${indent}${key} = ${renderValue(value)}\n`,
    )
    .join('')
}

/** Renders the same object as JSON: `Type "name"` becomes nested keys. */
export function renderJson(object: ConfObject): string {
  return JSON.stringify(nest(object), undefined, 2)
}

function nest(object: ConfObject): Record<string, unknown> {
  const nested: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(object)) {
    const content = isObject(value) ? nest(value) : value
    const [outer = key, label] = key.split(' ')
    if (label === undefined) nested[outer] = content
    else nested[outer] = { ...(nested[outer] as object | undefined), [label.replaceAll('"', '')]: content }
  }
  return nested
}

function renderValue(value: Exclude<ConfValue, ConfObject>): string {
  return Array.isArray(value) ? `[${value.map((item) => JSON.stringify(item)).join(', ')}]` : JSON.stringify(value)
}

function isObject(value: ConfValue): value is ConfObject {
  return typeof value === 'object' && !Array.isArray(value)
}
