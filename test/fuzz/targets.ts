/**
 * Everything `make fuzz` feeds.
 *
 * @module
 */

import type { FuzzTarget } from './fuzz-target.ts'
import { hcl } from './hcl.ts'
import { keylimeAnswers } from './keylime-answers.ts'
import { keylimeMessages } from './keylime-messages.ts'
import { pem } from './pem.ts'
import { quote } from './quote.ts'
import { tpm } from './tpm.ts'
import { tpmResponses } from './tpm-responses.ts'

/** All targets, in the order they run. */
export const TARGETS: readonly FuzzTarget[] = [hcl, tpm, tpmResponses, keylimeMessages, keylimeAnswers, quote, pem]
