/**
 * The shape of a conformance case.
 *
 * @module
 */

/** Who judges: a host nobody here wrote. */
export type Judge = 'go-plugin' | 'old go-plugin' | 'SPIRE catalog' | 'real SPIRE'

/** One case: what a host does to a plugin, and what it must see. */
export interface ConformanceCase {
  /** `C` and two digits; `M` and two digits for what goes beyond the list. */
  readonly id: string
  readonly via: Judge
  /** What is done. */
  readonly case: string
  /** Executables it is played against, each of which must see the same. */
  readonly plugins: readonly string[]
  /** What the host must observe, in its own words and order. For `real SPIRE`: what the e2e tests look for. */
  readonly expected: readonly string[]
  /** What it must observe of one executable instead, where that has another configuration. */
  readonly expectedOf?: Readonly<Record<string, readonly string[]>>
}
