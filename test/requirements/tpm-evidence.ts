/**
 * Evidence straight from the TPM, and push mode.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const TPM_EVIDENCE: readonly Requirement[] = []
