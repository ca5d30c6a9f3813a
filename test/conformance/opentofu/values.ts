/**
 * Values as OpenTofu writes them: msgpack, in which what is not known yet is an extension of type 0.
 *
 * @see opentofu/opentofu v1.12.6, docs/plugin-protocol/object-wire-format.md
 * @module
 */
import { decode, ExtData, encode } from '@msgpack/msgpack'
import type { Attribute, Schema, Value } from '../gen/opentofu/provider.ts'

/** A value that is known after the apply. */
export const UNKNOWN: ExtData = new ExtData(0, Uint8Array.of(0))

/** A string, or what stands for one. */
export type Text = string | null | ExtData

/** A resource of ours as OpenTofu stores it. */
export interface Page {
  readonly id: Text
  readonly text: Text
  readonly sha256: Text
}

/** The JSON of a type. */
export const STRING: Buffer = Buffer.from('"string"')

/** Writes a value for OpenTofu. */
export function pack(value: unknown): Value {
  return { msgpack: Buffer.from(encode(value)) }
}

/** Reads a value of OpenTofu's; what is absent is null. */
export function unpack(value: Value | undefined): unknown {
  return value === undefined ? null : decode(value.msgpack)
}

/** Reads a page; null when there is none. */
export function unpackPage(value: Value | undefined): Page | null {
  return unpack(value) as Page | null
}

/**
 * Reads a string that must be known: after the plan they all are.
 *
 * @throws {Error} It is null or unknown.
 */
export function known(text: Text | undefined): string {
  if (typeof text !== 'string') throw new Error('a text is null or unknown where OpenTofu must know it')
  return text
}

/** Makes a schema of strings, each of them required, optional or computed. */
export function schemaOf(attributes: Readonly<Record<string, 'required' | 'optional' | 'computed'>>): Schema {
  const list = Object.entries(attributes).map(
    ([name, kind]): Attribute => ({
      name,
      type: STRING,
      required: kind === 'required',
      optional: kind === 'optional',
      computed: kind === 'computed',
    }),
  )
  return { block: { attributes: list } }
}
