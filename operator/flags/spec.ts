/**
 * How verbs and their flags are described: the command line, man pages, completion, documentation and JSON help all come
 * from such descriptions.
 *
 * @module
 */

interface AnyFlag {
  /** One sentence, without the default. */
  readonly help: string
  /** One letter. */
  readonly short?: string
}

/** On or off. */
export interface SwitchFlag extends AnyFlag {
  readonly kind: 'switch'
}

/** Text. */
export interface TextFlag extends AnyFlag {
  readonly kind: 'text'
  /** Name of the value in help, such as `FILE`. */
  readonly value: string
  readonly default?: string
  readonly complete?: 'file' | 'host'
}

/** One of a few words. */
export interface ChoiceFlag extends AnyFlag {
  readonly kind: 'choice'
  readonly choices: readonly string[]
  readonly default?: string
}

/** A length of time such as `10s`, decoded to milliseconds; the bounds are milliseconds, inclusive. */
export interface DurationFlag extends AnyFlag {
  readonly kind: 'duration'
  readonly default?: string
  readonly min?: number
  readonly max?: number
}

/** A whole number; the bounds are inclusive. */
export interface IntegerFlag extends AnyFlag {
  readonly kind: 'integer'
  readonly default?: number
  readonly min?: number
  readonly max?: number
}

/** Text that may be given several times. */
export interface ListFlag extends AnyFlag {
  readonly kind: 'list'
  readonly value: string
  readonly complete?: 'file' | 'host'
}

/** Any flag. */
export type FlagSpec = SwitchFlag | TextFlag | ChoiceFlag | DurationFlag | IntegerFlag | ListFlag
/** Flags by name, in kebab case without dashes. */
export type FlagSpecs = Readonly<Record<string, FlagSpec>>

/** One argument. */
export interface ArgumentSpec {
  /** In capitals. */
  readonly name: string
  readonly help: string
  readonly required?: boolean
  /** Takes the rest of the line. */
  readonly many?: boolean
  readonly complete?: 'file' | 'host' | 'code' | readonly string[]
}

/** One verb. */
export interface VerbSpec<F extends FlagSpecs = FlagSpecs, N extends string = string> {
  /** One word, or two for a verb in a family: `policy show`. */
  readonly name: N
  /** Decides the common flags and what the exit codes mean. */
  readonly kind: 'read' | 'change' | 'daemon' | 'tool'
  /** One line without a period. */
  readonly summary: string
  /** Paragraphs for the manual. */
  readonly description: readonly string[]
  readonly arguments: readonly ArgumentSpec[]
  readonly flags: F
  /** Command line and what it shows. */
  readonly examples: readonly (readonly [string, string])[]
  /** Left out of help and manuals. */
  readonly hidden?: boolean
}

type ValueOf<S> = S extends { readonly kind: 'switch' }
  ? boolean
  : S extends { readonly kind: 'duration' | 'integer' }
    ? number
    : S extends { readonly kind: 'list' }
      ? readonly string[]
      : S extends { readonly kind: 'choice'; readonly choices: readonly (infer C)[] }
        ? C
        : string

type Optional<S> = S extends { readonly kind: 'switch' | 'list' } | { readonly default: unknown } ? never : undefined

/** The typed values of flags: one without default may be undefined, a switch is false, a list is empty. */
export type FlagValues<F extends FlagSpecs> = { readonly [K in keyof F]: ValueOf<F[K]> | Optional<F[K]> }

/**
 * Describes a verb, keeping the literal types of its name and flags.
 *
 * @param spec The description.
 * @returns The same.
 */
export function defineVerb<const F extends FlagSpecs, const N extends string>(spec: VerbSpec<F, N>): VerbSpec<F, N> {
  return spec
}
