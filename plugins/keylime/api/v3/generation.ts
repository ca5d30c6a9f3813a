/**
 * Generation 3 of Keylime's API, as a push-mode verifier speaks it: JSON:API, with attestations as resources.
 *
 * @module
 */
import { newFailure } from '../../basis/failures.ts'
import type { HttpAnswer } from '../../https/http-request.ts'
import { type Call, explainStatus, openBody, statusText } from '../envelope.ts'
import type { Generation } from '../generation.ts'
import { isObject, tryJson } from '../json.ts'

/** Versions spoken. */
export const V3_VERSIONS = ['3.0'] as const

/** A version of generation 3. */
export type V3Version = (typeof V3_VERSIONS)[number]

/** Generation 3: answers are `{data, links}`, errors `{errors}`. */
export const V3: Generation<V3Version> = {
  versions: V3_VERSIONS,
  contentType: 'application/vnd.api+json',
  // A push-mode verifier answers 410 to /version, and lists 3.0 nowhere else; who lacks it answers 404 without a body.
  chooseVersion: () => '3.0',
  isVersionRefused: ({ status, body }) => status === 404 && body.trim() === '',
  open: openResource,
}

// A real verifier answers 201 to a GET; 200 is what it should be, and may become.
function openResource(answer: HttpAnswer, call: Call): Readonly<Record<string, unknown>> {
  if (answer.status === 404 && hasErrors(answer)) {
    throw newFailure('agent-unknown', `${call.who} has nothing of ${call.about}: ${statusText(answer) ?? '404'}`, {
      facts: { http_status: answer.status },
    })
  }
  if (answer.status !== 200 && answer.status !== 201) throw explainStatus(answer, call)
  const { data } = openBody(answer, call)
  if (isObject(data)) return data
  throw newFailure('answer-shape', `${call.who} answers ${answer.status} for ${call.about} without a data object`)
}

function hasErrors({ body }: HttpAnswer): boolean {
  const parsed = body.length > 65_536 ? undefined : tryJson(body)
  return isObject(parsed) && Array.isArray(parsed['errors'])
}
