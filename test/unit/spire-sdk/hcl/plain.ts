/**
 * A tree without positions, for comparing in tests: labels become nested objects, repeated blocks lists.
 *
 * @module
 */
import type { HclEntry, HclNode, HclObject } from '../../../../plugins/spire-sdk/hcl/index.ts'

/** A value without positions: numbers stay as the text they were written with. */
export type Plain = string | boolean | { number: string } | Plain[] | { [key: string]: Plain }

/**
 * Strips the positions.
 *
 * @returns Strings and booleans as they are, numbers as `{ number: text }`.
 */
export function plain(node: HclNode): Plain {
  if (node.kind === 'number') return { number: node.text }
  if (node.kind === 'list') return node.items.map(plain)
  return node.kind === 'object' ? plainObject(node) : node.value
}

function plainObject(node: HclObject): Plain {
  const found = new Map<string, Plain[]>()
  for (const entry of node.entries) {
    const text = entry.key.text
    found.set(text, [...(found.get(text) ?? []), plainEntry(entry)])
  }
  return Object.fromEntries([...found].map(([key, values]) => [key, values.length === 1 ? (values[0] ?? '') : values]))
}

function plainEntry({ labels, value }: HclEntry): Plain {
  return labels.reduceRight<Plain>((inner, label) => ({ [label.text]: inner }), plain(value))
}
