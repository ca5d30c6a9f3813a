/**
 * Everything `make fuzz` feeds.
 *
 * @module
 */
import { hcl } from './hcl.ts'
import type { FuzzTarget } from './target.ts'

/** All targets, in the order they run. */
export const TARGETS: readonly FuzzTarget[] = [hcl]
