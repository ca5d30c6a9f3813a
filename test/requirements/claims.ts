/**
 * Claims as strong as their source, faults of ours that are no verdicts, and nobody paying for another.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const CLAIMS: readonly Requirement[] = []
