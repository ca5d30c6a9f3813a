/**
 * From an HTTP answer to Keylime's `results`, or to an error that says what answered instead.
 *
 * Keylime speaks in three shapes: `{code, status, results}`; JSON:API `{errors: [...]}` for 401, 403 and API 3; and an
 * empty `text/html` body from its web framework. A proxy in front adds HTML pages of its own.
 *
 * @module
 */

import type { KeylimeError } from '../basis/errors.ts'
import { type FailureReason, newFailure } from '../basis/failures.ts'
import { excerpt } from '../basis/printable.ts'
import type { HttpAnswer } from '../https/http-request.ts'
import { clientInWords } from '../https/peer.ts'
import { isPage, pageInWords, refusedByProxy } from '../https/proxy-pages.ts'
import type { ClientCertificate } from '../tls-files/client-certificate.ts'
import { isDeeperThan, isObject, kindOf, tryJson } from './json.ts'

/** Bound on the depth of JSON: Keylime's own answers take 4. */
export const MAX_JSON_DEPTH = 32

/** The call whose answer is opened. */
export interface Call {
  /** The service, such as `keylime verifier 127.0.0.1:8881`. */
  readonly who: string
  /** What was asked for, such as `agent 1d0c...`; ends the message of a 404. */
  readonly about: string
  /** What we presented, for 401, 403 and a proxy's refusal. */
  readonly client?: ClientCertificate | undefined
  /** Whether a 404 stands for an unknown agent. */
  readonly unknownOn404: boolean
  /** Whether it changes something there. */
  readonly writes?: boolean
}

/**
 * Opens an answer.
 *
 * @param answer The answer, whatever its status.
 * @param call What was asked.
 * @returns `results` of a 200, a JSON object.
 * @throws {KeylimeError} Any other status by its meaning, and `KEYLIME_BAD_RESPONSE` for a 200 that is not Keylime's.
 */
export function openEnvelope(answer: HttpAnswer, call: Call): Readonly<Record<string, unknown>> {
  if (answer.status !== 200) throw explainStatus(answer, call)
  const body = openBody(answer, call)
  const { results } = body
  if (isObject(results)) return results
  throw newFailure(
    'answer-shape',
    `${call.who} answers 200 without a results object: ${kindOf(results)}; is it the right service?`,
    { facts: factsOf(answer) },
  )
}

/**
 * Explains an answer that is not a 200.
 *
 * @param answer The answer.
 * @param call What was asked.
 * @returns The failure, not thrown.
 */
export function explainStatus(answer: HttpAnswer, call: Call): KeylimeError {
  for (const rule of RULES) {
    const found = rule(answer, call)
    if (found !== undefined) {
      return newFailure(found[0], `${call.who} ${found[1]}`, { facts: factsOf(answer) })
    }
  }
  const [reason, text] = explainOther(answer, call)
  return newFailure(reason, `${call.who} ${text}`, { facts: factsOf(answer) })
}

type Explained = readonly [FailureReason, string]
type Rule = (answer: HttpAnswer, call: Call) => Explained | undefined

// The first that knows the answer explains it, so a proxy's pages come before what Keylime means by the same status.
const RULES: readonly Rule[] = [
  explainProxyRefusal,
  explainRedirect,
  explainRefusal,
  explainUnknown,
  explainConflict,
  explainThrottle,
  explainProxyError,
  explainServerError,
]

function explainProxyRefusal(answer: HttpAnswer, call: Call): Explained | undefined {
  const byProxy = refusedByProxy(answer)
  return byProxy && [byProxy.reason, `${byProxy.text}; sent was ${clientInWords(call.client)}`]
}

function explainRedirect({ status, location }: HttpAnswer): Explained | undefined {
  if (status < 300 || status >= 400) return undefined
  const to = location === '' ? '' : ` to ${excerpt(location)}`
  const next = 'redirects are not followed: configure that address itself if it is right'
  return ['redirect', `answers ${status}, a redirect${to}; ${next}`]
}

function explainUnknown(answer: HttpAnswer, call: Call): Explained | undefined {
  if (!call.unknownOn404 || !isKeylimeRefusal(answer)) return undefined
  // What a verifier says of an agent it was told to stop or reactivate and does not know.
  const noRow = call.writes === true && answer.status === 400 && /No row was found/.test(statusText(answer) ?? '')
  if (answer.status !== 404 && !noRow) return undefined
  const missing = call.who.includes('registrar') ? 'not registered' : 'not enrolled'
  return ['agent-unknown', `does not know ${call.about}${said(answer)}; ${missing} there, or its database failed`]
}

function explainConflict(answer: HttpAnswer, call: Call): Explained | undefined {
  if (call.writes !== true || answer.status !== 409) return undefined
  return ['conflict', `answers 409 for ${call.about}${said(answer)}: it is there already, missing, or in use`]
}

function explainThrottle(answer: HttpAnswer): Explained | undefined {
  return answer.status === 429 ? ['throttled', `answers 429: too many requests${said(answer)}`] : undefined
}

function explainProxyError(answer: HttpAnswer): Explained | undefined {
  if (!isPage(answer) || ![502, 503, 504].includes(answer.status)) return undefined
  const text = `answers ${answer.status} ${pageInWords(answer)}: the service behind that proxy is away or too slow`
  return ['proxy-error', text]
}

function explainServerError(answer: HttpAnswer): Explained | undefined {
  if (answer.status < 500) return undefined
  return ['server-error', `failed with ${answer.status}${said(answer)}; its log says why`]
}

function explainOther(answer: HttpAnswer, call: Call): Explained {
  const isForeign = !isKeylimeRefusal(answer) ? '; is it the right service?' : ''
  const hint =
    answer.status === 400 && answer.body === '' && call.who.includes('registrar')
      ? '; its plain HTTP port (8890) answers so: a proxy must pass on to the TLS port (8891), with a client certificate'
      : isForeign
  return ['answer-status', `answers ${answer.status} for ${call.about}${said(answer)}${hint}`]
}

function explainRefusal(answer: HttpAnswer, call: Call): Explained | undefined {
  const { status } = answer
  if (status !== 401 && status !== 403) return undefined
  const [reason, meaning] =
    status === 401
      ? ([
          'client-unauthorized',
          'it wants other credentials than a client certificate, or a proxy added some',
        ] as const)
      : (['client-forbidden', 'it does not take us for an administrator'] as const)
  const proxy = /nginx|envoy|caddy|haproxy|apache|traefik/i.test(answer.server)
    ? `; ${excerpt(answer.server)} is in front: Keylime sees the certificate that proxy presents (proxy_ssl_certificate), not ours`
    : ''
  const sent = `sent was ${clientInWords(call.client)}`
  const wanted = 'Keylime wants one with a common name from a CA in its trusted_client_ca'
  return [reason, `refuses us with ${status}${said(answer)}: ${meaning}; ${sent}; ${wanted}${proxy}`]
}

/**
 * Takes the service's own words out of an error answer; never more than one short line of them.
 *
 * @param answer The answer.
 * @returns The text of `status` or of the first JSON:API error, or undefined.
 */
export function statusText(answer: HttpAnswer): string | undefined {
  if (answer.status === 200 || answer.body.length > 65_536) return undefined
  const body = tryJson(answer.body)
  if (!isObject(body)) return undefined
  const [first] = Array.isArray(body['errors']) ? (body['errors'] as readonly unknown[]) : []
  const text = isObject(first) ? (first['detail'] ?? first['title']) : body['status']
  return typeof text === 'string' && text !== '' ? excerpt(text) : undefined
}

/**
 * Tells whether an error answer has Keylime's own shape, so that another service's 404 is not taken for "unknown".
 *
 * @param answer An answer that is not a 200.
 * @returns True for `{code, status, results}` with the code of the answer.
 */
export function isKeylimeRefusal(answer: HttpAnswer): boolean {
  const body = answer.contentType.endsWith('json') && answer.body.length <= 65_536 ? tryJson(answer.body) : undefined
  return isObject(body) && body['code'] === answer.status && 'results' in body
}

function said(answer: HttpAnswer): string {
  const text = statusText(answer)
  if (text !== undefined) return ` ("${text}")`
  return isPage(answer) ? ` ${pageInWords(answer)}` : answer.body === '' ? ' with an empty body' : ''
}

/**
 * Opens the body of a success.
 *
 * @param answer The answer.
 * @param call What was asked.
 * @returns A JSON object, not nested deeper than {@link MAX_JSON_DEPTH}.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: not JSON, or no object.
 */
export function openBody(answer: HttpAnswer, call: Call): Readonly<Record<string, unknown>> {
  const facts = factsOf(answer)
  const what = isPage(answer) ? pageInWords(answer) : `as ${answer.contentType || 'an unnamed type'}`
  if (!/^application\/([a-z.+-]*\+)?json$/.test(answer.contentType)) {
    throw newFailure(
      'answer-not-json',
      `${call.who} answers ${answer.status} ${what}, expected JSON; is it the right service?`,
      {
        facts,
      },
    )
  }
  if (isDeeperThan(answer.body, MAX_JSON_DEPTH)) {
    throw newFailure('answer-not-json', `${call.who} answers JSON that nests deeper than ${MAX_JSON_DEPTH}`, { facts })
  }
  const body = tryJson(answer.body)
  if (isObject(body)) return body
  const found = body === undefined ? `${answer.body.length} characters that are not JSON` : kindOf(body)
  throw newFailure('answer-not-json', `${call.who} answers ${answer.status} with ${found}, expected a JSON object`, {
    facts,
  })
}

function factsOf(answer: HttpAnswer): Record<string, string | number> {
  return {
    http_status: answer.status,
    content_type: answer.contentType,
    ...(answer.server !== '' && { http_server: excerpt(answer.server) }),
  }
}
