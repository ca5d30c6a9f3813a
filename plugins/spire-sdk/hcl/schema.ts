/**
 * One declarative description of the keys of a configuration: decoding, messages and reference tables come from it.
 *
 * @module
 */
import { parseDuration } from './duration.ts'

/** Kinds of fields. */
export type FieldKind = 'string' | 'integer' | 'port' | 'boolean' | 'duration' | 'string_list' | 'block'

interface AnyField {
  /** One sentence for the reference table, without the default. */
  readonly help: string
  /** True: leaving it out is a problem. */
  readonly required?: boolean
  /** True: an empty value, which a template without its variable writes, is a problem and not merely not set. */
  readonly refusesEmpty?: boolean
  /** What the table shows as default where it depends on other keys, such as `the verifier's host`. */
  readonly defaultText?: string
}

interface TextRules {
  /** The only values allowed, byte for byte. */
  readonly oneOf?: readonly string[]
  /** What a value must match, whole; say what that means in `patternText`. */
  readonly pattern?: RegExp
  /** Completes "expected ...": `"host:port"`. */
  readonly patternText?: string
  /** A further rule: returns what is wrong with the value, or undefined. */
  readonly check?: (value: string) => string | undefined
}

/** Text. A number is taken as its text, as in Go; an empty string counts as not given, as in the Go plugin. */
export interface StringField extends AnyField, TextRules {
  readonly kind: 'string'
  /** True: the name of a file or folder, so what stands in a file is no value. */
  readonly path?: boolean
  readonly default?: string
}

/** A whole number, which may stand in quotes. A port is from 1 to 65535. Bounds are inclusive. */
export interface IntegerField extends AnyField {
  readonly kind: 'integer' | 'port'
  readonly default?: number
  readonly min?: number
  readonly max?: number
}

/** The literal true or false. */
export interface BooleanField extends AnyField {
  readonly kind: 'boolean'
  readonly default?: boolean
}

/** A length of time as Go writes it, `"1m30s"`; decoded to whole milliseconds. Bounds are milliseconds, inclusive. */
export interface DurationField extends AnyField {
  readonly kind: 'duration'
  readonly default?: string
  readonly min?: number
  readonly max?: number
}

/** A list of strings; the rules hold for each item, the bounds for how many there are. */
export interface StringListField extends AnyField, TextRules {
  readonly kind: 'string_list'
  readonly default?: readonly string[]
  readonly min?: number
  readonly max?: number
}

/** Keys within braces. Repeated blocks are merged. */
export interface BlockField extends AnyField {
  readonly kind: 'block'
  readonly fields: FieldSpecs
}

/** Another name of a key: accepted, with a warning that names the right one. */
export interface AliasField {
  readonly kind?: FieldKind
  readonly help?: string
  readonly aliasOf: string
}

/** A key that does nothing: accepted, with a warning that says why. */
export interface IgnoredField {
  readonly kind?: FieldKind
  readonly help?: string
  readonly ignored: string
}

/** A field with a value of its own. */
export type ValueField = StringField | IntegerField | BooleanField | DurationField | StringListField | BlockField
/** Any field. */
export type FieldSpec = ValueField | AliasField | IgnoredField
/** Keys and their fields. */
export type FieldSpecs = Readonly<Record<string, FieldSpec>>

/** Fields that were checked by `defineSchema`. */
export interface Schema<S extends FieldSpecs> {
  readonly fields: S
}

type TextOf<F> = F extends { readonly oneOf: readonly (infer V)[] } ? V : string

type ValueOf<F> = F extends { readonly kind: 'string' }
  ? TextOf<F>
  : F extends { readonly kind: 'integer' | 'port' | 'duration' }
    ? number
    : F extends { readonly kind: 'boolean' }
      ? boolean
      : F extends { readonly kind: 'string_list' }
        ? readonly TextOf<F>[]
        : F extends { readonly kind: 'block'; readonly fields: infer B extends FieldSpecs }
          ? Decoded<B>
          : never

type Optional<F> = F extends { readonly required: true } | { readonly default: unknown } ? never : undefined

/** The typed values of a schema: a field without default that is not required may be undefined. */
export type Decoded<S extends FieldSpecs> = {
  readonly [K in keyof S as S[K] extends { readonly aliasOf: string } | { readonly ignored: string } ? never : K]:
    | ValueOf<S[K]>
    | Optional<S[K]>
}

/**
 * Makes a schema, and finds the programmer's mistakes in it at start-up instead of in production.
 *
 * @param fields Keys in lower case with underscores, in the order the reference table shows.
 * @returns The schema.
 * @throws {TypeError} A key not in lower case, an alias of no key, a default that is not a duration.
 */
export function defineSchema<const S extends FieldSpecs>(fields: S): Schema<S> {
  checkFields(fields)
  return { fields }
}

function checkFields(fields: FieldSpecs): void {
  for (const [key, field] of Object.entries(fields)) {
    if (!/^[a-z][a-z0-9_]*$/.test(key)) throw new TypeError(`schema: ${key} is not lower case with underscores`)
    if (isAlias(field)) checkAlias(fields, key, field)
    else if (!isIgnored(field)) checkField(key, field)
  }
}

function checkAlias(fields: FieldSpecs, key: string, { aliasOf }: AliasField): void {
  const target = Object.hasOwn(fields, aliasOf) ? fields[aliasOf] : undefined
  if (target === undefined || isAlias(target) || isIgnored(target)) {
    throw new TypeError(`schema: ${key} is another name of ${aliasOf}, which is no field`)
  }
}

function checkField(key: string, field: ValueField): void {
  if (field.kind === 'block') checkFields(field.fields)
  if (field.kind !== 'duration' || field.default === undefined) return
  const parsed = parseDuration(field.default)
  if (typeof parsed === 'string') throw new TypeError(`schema: default of ${key}: ${parsed}`)
}

/**
 * Tells another name from a field.
 *
 * @param field Any field.
 * @returns True for an alias.
 */
export function isAlias(field: FieldSpec): field is AliasField {
  return 'aliasOf' in field && field.aliasOf !== undefined
}

/**
 * Tells a key that does nothing from a field.
 *
 * @param field Any field.
 * @returns True for an ignored key.
 */
export function isIgnored(field: FieldSpec): field is IgnoredField {
  return 'ignored' in field && field.ignored !== undefined
}
