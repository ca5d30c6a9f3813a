/**
 * What `towerkeep` does for an operator.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const OPERATOR: readonly Requirement[] = [
  {
    id: 'operator:status:follows-parts',
    alias: 'O01',
    promise:
      "'status' on three hosts: kill a Keylime agent -> its row changes, exit 2, within 12 s; stop the verifier -> '?', exit 3, < 6 s; golden JSON",
  },
  {
    id: 'operator:status:json-numbers',
    alias: 'O02',
    promise: "'status --output json' has the four computed numbers; a join_token agent added -> not 0 % any more",
  },
]
