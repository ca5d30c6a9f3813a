/**
 * What `towerkeep` does for an operator.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const OPERATOR: readonly Requirement[] = []
