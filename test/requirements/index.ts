/**
 * Every promise the project makes, by id.
 *
 * A test cites an id or its alias in its title, `it('refuses a replayed quote [T62]', …)`. `requirements.test.ts` fails
 * when a promise is neither cited nor deferred with a reason, when a citation is unknown, and when a deferred promise is
 * cited after all.
 *
 * @module
 */
import { ACCEPTANCE } from './acceptance.ts'
import { ACTING } from './acting.ts'
import { CLAIMS } from './claims.ts'
import { CONFORMANCE } from './conformance.ts'
import { ENVIRONMENT } from './environment.ts'
import { INCIDENTS } from './incidents.ts'
import { OPERATOR } from './operator.ts'
import { PACKAGES } from './packages.ts'
import type { Requirement } from './requirement.ts'
import { SCALE } from './scale.ts'
import { TPM_EVIDENCE } from './tpm-evidence.ts'

export type { Requirement } from './requirement.ts'

/** All promises. */
export const REQUIREMENTS: readonly Requirement[] = [
  ...CONFORMANCE,
  ...ACCEPTANCE,
  ...INCIDENTS,
  ...CLAIMS,
  ...ENVIRONMENT,
  ...TPM_EVIDENCE,
  ...OPERATOR,
  ...ACTING,
  ...PACKAGES,
  ...SCALE,
]

/**
 * Finds the promise that a title cites.
 *
 * @param cited An id or an alias, without the brackets.
 * @returns The promise; `undefined` when none bears that name.
 */
export function requirementCited(cited: string): Requirement | undefined {
  return BY_NAME.get(cited)
}

const BY_NAME: ReadonlyMap<string, Requirement> = new Map(
  REQUIREMENTS.flatMap((requirement) => {
    const names = [requirement.id, ...(requirement.alias === undefined ? [] : [requirement.alias])]
    return names.map((name) => [name, requirement] as const)
  }),
)

/** A citation in a title: an id or an alias in brackets. */
export const CITATION = /\[([A-Z]\d\d|[a-z0-9-]+(?::[a-z0-9-]+){2})\]/g
