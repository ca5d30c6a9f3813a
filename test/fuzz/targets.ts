/**
 * Everything `make fuzz` feeds.
 *
 * @module
 */
import { hcl } from './hcl.ts'
import { keylimeMessages } from './keylime-messages.ts'
import { quote } from './quote.ts'
import type { FuzzTarget } from './target.ts'
import { tpm } from './tpm.ts'

/** All targets, in the order they run. */
export const TARGETS: readonly FuzzTarget[] = [hcl, tpm, keylimeMessages, quote]
