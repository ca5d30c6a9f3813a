/**
 * Speed, fleets, and more than one machine.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const SCALE: readonly Requirement[] = []
