/**
 * From an HTTP answer to Keylime's `results`, or to an error that says what answered instead.
 *
 * Keylime speaks in three shapes: `{code, status, results}`; JSON:API `{errors: [...]}` for 401, 403 and API 3; and an
 * empty `text/html` body from its web framework. A proxy in front adds HTML pages of its own.
 *
 * @module
 */

import type { KeylimeError } from '../basis/errors.ts'
import { newFailure } from '../basis/failures.ts'
import type { HttpAnswer } from '../https/exchange.ts'
import { isPage, pageInWords, refusedByProxy } from '../https/proxy-pages.ts'
import { clientInWords } from '../https/target.ts'
import type { ClientCertificate } from '../tls-files/client-certificate.ts'

/** Bounds how deep JSON may nest: Keylime's own answers take 4. */
export const MAX_JSON_DEPTH = 32

/** Describes the call whose answer is opened. */
export interface Call {
  /** The service, such as `keylime verifier 127.0.0.1:8881`. */
  readonly who: string
  /** What was asked for, such as `agent 1d0c...`; ends the message of a 404. */
  readonly about: string
  /** What we presented, for 401, 403 and a proxy's refusal. */
  readonly client?: ClientCertificate | undefined
  /** Whether a 404 stands for an unknown agent. */
  readonly unknownOn404: boolean
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
  const body = parseBody(answer, call)
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
  const { status } = answer
  const { who } = call
  const facts = factsOf(answer)
  const byProxy = refusedByProxy(answer)
  if (byProxy !== undefined) {
    return newFailure(byProxy.reason, `${who} ${byProxy.text}; sent was ${clientInWords(call.client)}`, { facts })
  }
  if (status >= 300 && status < 400) {
    const to = answer.location === '' ? '' : ` to ${printable(answer.location)}`
    return newFailure(
      'redirect',
      `${who} answers ${status}, a redirect${to}; redirects are not followed: configure that address itself if it is right`,
      { facts },
    )
  }
  if (status === 401 || status === 403) return explainRefusal(answer, call)
  if (status === 404 && call.unknownOn404 && isKeylimeRefusal(answer)) {
    const missing = who.includes('registrar') ? 'not registered' : 'not enrolled'
    return newFailure(
      'agent-unknown',
      `${who} does not know ${call.about}${said(answer)}; ${missing} there, or its database failed`,
      { facts },
    )
  }
  if (status === 429) return newFailure('throttled', `${who} answers 429: too many requests${said(answer)}`, { facts })
  if (isPage(answer) && [502, 503, 504].includes(status)) {
    return newFailure(
      'proxy-error',
      `${who} answers ${status} ${pageInWords(answer)}: the service behind that proxy is away or too slow`,
      { facts },
    )
  }
  if (status >= 500)
    return newFailure('server-error', `${who} failed with ${status}${said(answer)}; its log says why`, { facts })
  const isForeign = !isKeylimeRefusal(answer) ? '; is it the right service?' : ''
  const hint =
    status === 400 && answer.body === '' && who.includes('registrar')
      ? '; its plain HTTP port (8890) answers so: a proxy must pass on to the TLS port (8891), with a client certificate'
      : isForeign
  return newFailure('answer-status', `${who} answers ${status} for ${call.about}${said(answer)}${hint}`, { facts })
}

function explainRefusal(answer: HttpAnswer, call: Call): KeylimeError {
  const { status } = answer
  const [reason, meaning] =
    status === 401
      ? ([
          'client-unauthorized',
          'it wants other credentials than a client certificate, or a proxy added some',
        ] as const)
      : (['client-forbidden', 'it does not take us for an administrator'] as const)
  const proxy = /nginx|envoy|caddy|haproxy|apache|traefik/i.test(answer.server)
    ? `; ${printable(answer.server)} is in front: Keylime sees the certificate that proxy presents (proxy_ssl_certificate), not ours`
    : ''
  return newFailure(
    reason,
    `${call.who} refuses us with ${status}${said(answer)}: ${meaning}; sent was ${clientInWords(call.client)}; Keylime wants one with a common name from a CA in its trusted_client_ca${proxy}`,
    { facts: factsOf(answer) },
  )
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
  return typeof text === 'string' && text !== '' ? printable(text) : undefined
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

function parseBody(answer: HttpAnswer, call: Call): Readonly<Record<string, unknown>> {
  const facts = factsOf(answer)
  const what = isPage(answer) ? pageInWords(answer) : `as ${answer.contentType || 'an unnamed type'}`
  if (!/^application\/([a-z.+-]*\+)?json$/.test(answer.contentType)) {
    throw newFailure('answer-not-json', `${call.who} answers 200 ${what}, expected JSON; is it the right service?`, {
      facts,
    })
  }
  if (isDeeperThan(answer.body, MAX_JSON_DEPTH)) {
    throw newFailure('answer-not-json', `${call.who} answers JSON that nests deeper than ${MAX_JSON_DEPTH}`, { facts })
  }
  const body = tryJson(answer.body)
  if (isObject(body)) return body
  const found = body === undefined ? `${answer.body.length} characters that are not JSON` : kindOf(body)
  throw newFailure('answer-not-json', `${call.who} answers 200 with ${found}, expected a JSON object`, { facts })
}

/**
 * Tells whether JSON text nests deeper than a bound, without parsing it.
 *
 * @param text Any text.
 * @param depth The bound.
 * @returns True when more brackets than that are open at once, strings aside.
 */
export function isDeeperThan(text: string, depth: number): boolean {
  let open = 0
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at)
    if (char === 0x22) at = endOfString(text, at)
    else if (char === 0x7b || char === 0x5b) open += 1
    else if (char === 0x7d || char === 0x5d) open -= 1
    if (open > depth) return true
  }
  return false
}

function endOfString(text: string, start: number): number {
  let at = start
  for (;;) {
    at = text.indexOf('"', at + 1)
    if (at < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1
    if (slashes % 2 === 0) return at
  }
}

/**
 * Tells whether a value is a JSON object.
 *
 * @param value Any parsed JSON.
 * @returns False for null and arrays.
 */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Names the kind of a JSON value, never the value.
 *
 * @param value Any parsed JSON, or undefined.
 * @returns Such as `a list`.
 */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function printable(text: string): string {
  const line = text.replace(/[\p{C}\s]+/gu, ' ').trim()
  return line.length > 160 ? `${line.slice(0, 160)}...` : line
}

function factsOf(answer: HttpAnswer): Record<string, string | number> {
  return {
    http_status: answer.status,
    content_type: answer.contentType,
    ...(answer.server !== '' && { http_server: printable(answer.server) }),
  }
}
