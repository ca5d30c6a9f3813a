/**
 * What every way to break something for doctor has in common, be it a tower or one machine.
 *
 * @module
 */

/** Mends what was broken. */
export type Heal = () => void | Promise<void>

/** Something to break, and what doctor must say of it. */
export interface Breakage {
  readonly what: string
  /** The check that must find it. */
  readonly check: string
  /** The finding that must be the only cause. */
  readonly id: string
}
