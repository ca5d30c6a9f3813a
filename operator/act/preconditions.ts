/**
 * What must hold before a verb acts: the host is known, the sources answer.
 *
 * @module
 */
import { EXIT } from '../exit-codes.ts'
import { type Fleet, type FleetHost, hostsMeant, type SourceStates } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'

/**
 * Finds the one host that a word names.
 *
 * @param fleet Every host.
 * @param word Name, agent ID or SPIFFE ID.
 * @returns The host.
 * @throws {OperatorError} `TK-ACT-HOST`, exit 64: none, or several.
 */
export function requireHost(fleet: Fleet, word: string | undefined): FleetHost {
  if (word === undefined) throw new OperatorError('TK-USAGE', 'name a host')
  const found = hostsMeant(fleet.hosts, word)
  const [host] = found
  if (host !== undefined && found.length === 1) return host
  const known = fleet.hosts.map(({ name }) => name).join(', ') || 'none'
  const which =
    found.length > 1 ? `names ${found.length} hosts (${found.map(({ agentId }) => agentId).join(', ')})` : 'is no host'
  throw new OperatorError('TK-ACT-HOST', `${word} ${which}; known are: ${known}`)
}

/**
 * Requires that sources have answered.
 *
 * @param fleet Which have.
 * @param needed Which must.
 * @throws {OperatorError} `TK-ACT-SOURCE`, exit 69: one has not.
 */
export function requireSources({ failed }: Pick<Fleet, 'failed'>, needed: readonly (keyof SourceStates)[]): void {
  for (const source of needed) {
    const why = failed[source]
    if (why !== undefined) {
      throw new OperatorError('TK-ACT-SOURCE', `the ${source} does not answer, so nothing was done: ${why}`, {
        exit: EXIT.unavailable,
      })
    }
  }
}

/**
 * Makes the refusal of a verb whose condition does not hold.
 *
 * @param message Lower case, no final period: what was found, and what to do.
 * @returns The error, to be thrown; exit 3.
 */
export function refusedBecause(message: string): OperatorError {
  return new OperatorError('TK-ACT-REFUSED', message, { exit: EXIT.unknown })
}
