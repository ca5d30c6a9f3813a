/**
 * Generation 2 of Keylime's API, as verifier, registrar and agent speak it from Keylime 7.10 on.
 *
 * @module
 */
import type { HttpAnswer } from '../../https/http-request.ts'
import { type Call, explainStatus, isKeylimeRefusal, openEnvelope } from '../envelope.ts'
import type { Generation } from '../generation.ts'
import { API_VERSIONS, type ApiVersion, chooseVersion, isVersionRefused } from './versions.ts'

/** Generation 2: answers are `{code, status, results}`. */
export const V2: Generation<ApiVersion> = {
  versions: API_VERSIONS,
  contentType: 'application/json',
  chooseVersion: chooseFrom,
  isSilent: ({ status }) => status === GONE,
  isVersionRefused,
  open: openEnvelope,
}

// A verifier in push mode: it speaks 2.x, and says so nowhere.
const GONE = 410

function chooseFrom(answer: HttpAnswer, call: Call): ApiVersion {
  if (answer.status === GONE) return API_VERSIONS[0]
  if (answer.status === 200) return chooseVersion(openEnvelope(answer, call), call.who)
  // A registrar before Keylime 7.12 has no /version. It is asked all the same: its record shows better what is wrong.
  const hasNoVersionPath = [400, 404, 405].includes(answer.status) && isKeylimeRefusal(answer)
  if (hasNoVersionPath) return '2.1'
  throw explainStatus(answer, call)
}
