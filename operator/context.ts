/**
 * What a verb is given.
 *
 * @module
 */

import type { COMMON_FLAGS } from './flags/shared-flags.ts'
import type { FlagValues, VerbSpec } from './flags/spec.ts'
import type { Report } from './report.ts'

/** Build of the program. */
export interface Build {
  readonly version: string
  /** Commit it was built from; empty in a checkout. */
  readonly commit: string
}

/** What a verb is given. */
export interface VerbContext<S extends VerbSpec> {
  readonly flags: FlagValues<S['flags']> & FlagValues<typeof COMMON_FLAGS>
  /** Words after the verb. */
  readonly words: readonly string[]
  readonly build: Build
  readonly stdout: NodeJS.WriteStream
  /** Says how far a verb is, on standard error; silent with `--quiet`. */
  readonly progress: (line: string) => void
  /** Aborts at Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}

/** A verb's module. */
export interface VerbModule<S extends VerbSpec> {
  /** Carries the verb out; undefined when it has printed for itself. */
  run(context: VerbContext<S>): Promise<Report | number>
}
