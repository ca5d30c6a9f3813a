/**
 * The positioned tree: what HCL and JSON text both become. Key chains and repeated blocks stay as they were written.
 *
 * @module
 */
import type { Position } from './problem.ts'

/** A string: quoted, a heredoc, or JSON's null, which Go's decoder takes for an empty string. */
export interface HclString extends Position {
  readonly kind: 'string'
  readonly form: 'quoted' | 'heredoc' | 'null'
  readonly value: string
}

/** A number as written: a string field takes the text, an integer field what the text means. */
export interface HclNumber extends Position {
  readonly kind: 'number'
  readonly form: 'integer' | 'float'
  readonly text: string
}

/** A literal `true` or `false`. */
export interface HclBoolean extends Position {
  readonly kind: 'boolean'
  readonly value: boolean
}

/** A list in square brackets. */
export interface HclList extends Position {
  readonly kind: 'list'
  readonly items: readonly HclNode[]
}

/** An object in braces, or the whole text. */
export interface HclObject extends Position {
  readonly kind: 'object'
  readonly entries: readonly HclEntry[]
}

/** Any value. */
export type HclNode = HclString | HclNumber | HclBoolean | HclList | HclObject

/** One name of an entry. */
export interface HclKey extends Position {
  readonly text: string
}

/** One `key = value`, or one block `key "label" { }`; a block may stand more than once. */
export interface HclEntry {
  readonly key: HclKey
  /** What stands between key and brace: `x "a" "b" { }` means `x { a { b { } } }`. */
  readonly labels: readonly HclKey[]
  readonly assigned: boolean
  readonly value: HclNode
}

/** Bound on the depth of objects and lists in each other. Ours: Go has no bound but its stack. */
export const MAX_DEPTH = 64

/** Bound on a configuration, in bytes. Ours: SPIRE's own file would be refused by gRPC at 4 MiB. */
export const MAX_BYTES = 1024 * 1024

/**
 * Names what kind of value a node is, for messages.
 *
 * @param node Any value.
 * @returns Such as `a string`.
 */
export function describeNode(node: HclNode): string {
  if (node.kind === 'list') return 'a list'
  if (node.kind === 'object') return 'a block'
  if (node.kind === 'boolean') return String(node.value)
  if (node.kind === 'number') return `the number ${shorten(node.text)}`
  if (PEM.test(node.value)) return 'PEM text'
  if (holdsKey(node.value)) return 'base64 of a key or a certificate'
  const lines = node.value.trimEnd().split(/\r\n?|\n/).length
  if (lines > 1) return `text of ${lines} lines`
  return node.form === 'null' ? 'null' : `the string ${shorten(JSON.stringify(node.value))}`
}

const PEM = /-----\s*BEGIN\b/i
// A DER sequence begins with 0x30, so its base64 with M; the shortest private key, Ed25519's, has 64 characters.
const BARE_KEY = /^\s*M[A-Za-z0-9+/]{63}/

/**
 * Tells whether a text is, or holds, a key or a certificate: such a text stands in no message.
 *
 * @param text Any text.
 * @returns True with a BEGIN line, whole or as it is left when its line ends were lost, and for the base64 between such
 *   lines alone.
 */
export function holdsKey(text: string): boolean {
  return PEM.test(text) || BARE_KEY.test(text)
}

/**
 * Quotes a key for a message.
 *
 * @param key Any key.
 * @returns The key in double quotes, shortened when it is long.
 */
export function keyName(key: HclKey): string {
  return shorten(JSON.stringify(key.text))
}

const MAX_SHOWN = 60

/** Keeps a message to one readable line, whatever the text holds. */
function shorten(text: string): string {
  const characters = Array.from(text.slice(0, 2 * MAX_SHOWN))
  return characters.length <= MAX_SHOWN ? text : `${characters.slice(0, MAX_SHOWN).join('')}...`
}
