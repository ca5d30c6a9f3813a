/**
 * What authors of plugins can install and rely on.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const PACKAGES: readonly Requirement[] = []
