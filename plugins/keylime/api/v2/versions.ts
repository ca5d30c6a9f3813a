/**
 * Which version of Keylime's API to speak with a service: the highest both know, 2.1 to 2.6, never 3.
 *
 * @module
 */

import { newFailure } from '../../basis/failures.ts'
import type { HttpAnswer } from '../../https/http-request.ts'
import { statusText } from '../envelope.ts'

/** The versions we speak, highest first. Under 3.x the calls we need do not exist. */
export const API_VERSIONS = ['2.6', '2.5', '2.4', '2.3', '2.2', '2.1'] as const

/** One version we speak. */
export type ApiVersion = (typeof API_VERSIONS)[number]

/**
 * Chooses the version from the answer to `GET /version`.
 *
 * @param results `results` of the answer: `supported_versions`, or `supported_version` of an old agent.
 * @param who The service, for the message.
 * @returns The highest version in common.
 * @throws {KeylimeError} `KEYLIME_API_UNSUPPORTED`: none in common. `KEYLIME_BAD_RESPONSE`: no versions in it.
 */
export function chooseVersion(results: Readonly<Record<string, unknown>>, who: string): ApiVersion {
  const listed = results['supported_versions'] ?? [results['supported_version'] ?? results['current_version']]
  const offered = Array.isArray(listed) ? listed.filter((one: unknown) => typeof one === 'string') : []
  if (offered.length === 0) {
    throw newFailure('answer-shape', `${who} answers /version without supported_versions; is it the right service?`)
  }
  const chosen = API_VERSIONS.find((version) => offered.includes(version))
  if (chosen !== undefined) return chosen
  const shown = offered.slice(0, 20).join(', ').slice(0, 120)
  throw newFailure('api-version', `${who} speaks API ${shown}; expected one of ${API_VERSIONS.toReversed().join(', ')}`)
}

/**
 * Tells whether an answer says that the version in its path is not spoken (any more).
 *
 * Keylime from 7.14 answers 404 with an empty body, older ones and agents 400 with a sentence.
 *
 * @param answer Any answer.
 * @returns True when the version should be negotiated again.
 */
export function isVersionRefused(answer: HttpAnswer): boolean {
  if (answer.status === 404) return answer.body.trim() === ''
  return answer.status === 400 && /API version not supported/i.test(statusText(answer) ?? '')
}
