/**
 * What a parser offers to be fuzzed.
 *
 * @module
 */
import { mutate, type Stock } from './mutate.ts'
import { Random } from './random.ts'

/** One parser under fuzz. To add one: export such a value from `test/fuzz/<name>.ts` and list it in `targets.ts`. */
export interface FuzzTarget extends Stock {
  readonly name: string
  /** How many mutants one run makes. */
  readonly mutants: number
  /** How long one input may take, in milliseconds of CPU time; generous, since garbage is collected meanwhile. */
  readonly maxMs: number
  /**
   * Feeds one input.
   *
   * @returns Whether the parser took it; a refusal with its own typed error is `refused`.
   * @throws Anything: a crash, which is what the fuzz looks for.
   */
  run(input: Buffer): 'accepted' | 'refused'
}

/**
 * Makes the same mutant each time it is asked.
 *
 * @param index From 0.
 */
export function mutantOf(target: Stock, seed: number, index: number): Buffer {
  return mutate(target, new Random(Math.imul(seed, 0x01000193) ^ index))
}
