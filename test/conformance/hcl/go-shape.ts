/**
 * Our tree in the shape that Go's `hcl.Decode` gives an interface, so that the two can be compared.
 *
 * @module
 */
import type { HclEntry, HclNode, HclNumber, HclObject } from '../../../plugins/spire-sdk/hcl/index.ts'

/** A value as the oracle prints it. */
export type GoValue =
  | string
  | boolean
  | { readonly int: string }
  | { readonly float: string }
  | { readonly map: { readonly [key: string]: GoValue } }
  | readonly GoValue[]

/** Says why Go's decoder refuses a tree that its parser and we take. */
export class GoRefuses extends Error {
  override readonly name = 'GoRefuses'
}

interface Item {
  readonly keys: readonly string[]
  readonly value: HclNode
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/**
 * Shapes a whole text.
 *
 * @param root From `parseHcl`.
 * @param json True when the text was JSON, whose objects Go flattens.
 * @throws {GoRefuses} Go's decoder takes no such number, or no block with and without label.
 */
export function goShape(root: HclObject, json: boolean): GoValue {
  return mapOf(itemsOf(root.entries, json), json)
}

function itemsOf(entries: readonly HclEntry[], json: boolean): Item[] {
  return entries.flatMap(({ key, labels, value }) => {
    const keys = [key, ...labels].map(({ text }) => text)
    return json ? flatten(keys, value) : [{ keys, value }]
  })
}

/** Go turns JSON objects of objects into key chains, and lists of objects into repeated blocks. */
function flatten(keys: readonly string[], value: HclNode): Item[] {
  if (value.kind === 'object' && value.entries.length > 0) {
    if (value.entries.every((entry) => entry.value.kind === 'object')) {
      return value.entries.flatMap((entry) => flatten([...keys, entry.key.text], entry.value))
    }
  }
  if (value.kind === 'list' && value.items.length > 0 && value.items.every((item) => item.kind === 'object')) {
    return value.items.flatMap((item) => flatten(keys, item))
  }
  return [{ keys, value }]
}

function mapOf(items: readonly Item[], json: boolean): GoValue {
  const map = new Map<string, GoValue>()
  const done = new Set<string>()
  for (const { keys, value } of items) {
    const [key] = keys
    if (key === undefined) throw new GoRefuses('map must have string keys')
    if (done.has(key)) continue
    if (keys.length > 1) {
      done.add(key)
      const labelled = items.filter((item) => fold(item.keys[0] ?? '') === fold(key))
      map.set(
        key,
        append(
          map.get(key),
          labelled.map((item) => mapOf([withoutFirst(item)], json)),
        ),
      )
    } else map.set(key, value.kind === 'object' ? append(map.get(key), [inList(value, json)]) : inMap(value, json))
  }
  return { map: Object.fromEntries(map) }
}

function fold(key: string): string {
  return key.toLowerCase()
}

function withoutFirst({ keys, value }: Item): Item {
  return { keys: keys.slice(1), value }
}

function append(before: GoValue | undefined, items: readonly GoValue[]): readonly GoValue[] {
  return [...(isList(before) ? before : []), ...items]
}

function isList(value: GoValue | undefined): value is readonly GoValue[] {
  return Array.isArray(value)
}

/** Within a map, Go makes a list of one out of every object. */
function inMap(value: HclNode, json: boolean): GoValue {
  return value.kind === 'object' ? [inList(value, json)] : inList(value, json)
}

function inList(value: HclNode, json: boolean): GoValue {
  if (value.kind === 'object') return mapOf(itemsOf(value.entries, json), json)
  if (value.kind === 'list') return value.items.map((item) => inList(item, json))
  return value.kind === 'number' ? numberOf(value) : value.value
}

function numberOf({ form, text }: HclNumber): GoValue {
  if (form === 'float') {
    const float = Number(text)
    if (!Number.isFinite(float)) throw new GoRefuses(`${text}: value out of range`)
    return { float: String(float) }
  }
  const whole = /^(-?)(.*)$/.exec(text)
  const digits = whole?.[2] ?? ''
  if (/^0[0-9]/.test(digits) && /[89]/.test(digits)) throw new GoRefuses(`${text}: invalid syntax`)
  const value = BigInt(/^0[0-9]/.test(digits) ? `0o${digits}` : digits) * (whole?.[1] === '-' ? -1n : 1n)
  if (value < INT64_MIN || value > INT64_MAX) throw new GoRefuses(`${text}: value out of range`)
  return { int: String(value) }
}
