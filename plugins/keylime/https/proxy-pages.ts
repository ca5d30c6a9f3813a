/**
 * Pages that do not come from Keylime: what a proxy in front says in HTML, recognised and explained.
 *
 * @module
 */

import type { FailureReason } from '../basis/failures.ts'
import type { HttpAnswer } from './http-request.ts'

/** One sentence a proxy says about our certificate or our protocol. */
interface ProxySaying {
  readonly pattern: RegExp
  readonly reason: FailureReason
  readonly text: string
}

// nginx answers these with 400 (and its own 495, 496, 497 where an error_page rewrites them); others are Go and Apache.
const SAYINGS: readonly ProxySaying[] = [
  {
    pattern: /No required SSL certificate was sent/i,
    reason: 'client-missing',
    text: 'has a proxy in front (nginx) that demands a client certificate and got none ("No required SSL certificate was sent")',
  },
  {
    pattern: /The SSL certificate error/i,
    reason: 'client-issuer',
    text: 'has a proxy in front (nginx) that does not accept our client certificate ("The SSL certificate error"): its issuer is not in ssl_client_certificate, the chain is longer than ssl_verify_depth, or it has expired',
  },
  {
    pattern: /The plain HTTP request was sent to HTTPS port/i,
    reason: 'tls-expected',
    text: 'wants TLS on this port and got plain HTTP ("The plain HTTP request was sent to HTTPS port")',
  },
  {
    pattern: /Client sent an HTTP request to an HTTPS server/i,
    reason: 'tls-expected',
    text: 'wants TLS on this port and got plain HTTP ("Client sent an HTTP request to an HTTPS server")',
  },
  {
    pattern: /speaking plain HTTP to an SSL-enabled server port/i,
    reason: 'tls-expected',
    text: 'wants TLS on this port and got plain HTTP ("speaking plain HTTP to an SSL-enabled server port")',
  },
]

/**
 * Recognises a proxy's refusal of our certificate or protocol.
 *
 * @param answer An answer that is not a 200.
 * @returns The way of failing and the sentence after the service's name; undefined for anything else.
 */
export function refusedByProxy(
  answer: HttpAnswer,
): { readonly reason: FailureReason; readonly text: string } | undefined {
  if (answer.status < 400 || answer.contentType.endsWith('json')) return undefined
  const start = answer.body.slice(0, 4096)
  return SAYINGS.find(({ pattern }) => pattern.test(start))
}

/**
 * Tells whether an answer is a page, as proxies send it; Keylime's framework sends `text/html` with an empty body.
 *
 * @param answer The answer.
 * @returns True for HTML or plain text that is not empty.
 */
export function isPage(answer: HttpAnswer): boolean {
  return answer.body !== '' && (answer.contentType === 'text/html' || answer.contentType === 'text/plain')
}

/**
 * Names a page by its title and the server that sent it, never by its text.
 *
 * @param answer A page.
 * @returns Such as `with a page "502 Bad Gateway" from nginx/1.22.1`.
 */
export function pageInWords(answer: HttpAnswer): string {
  const title = /<title>([^<]{1,80})<\/title>/i
    .exec(answer.body.slice(0, 4096))?.[1]
    ?.replace(/[\p{C}\s]+/gu, ' ')
    .trim()
  const from = answer.server.replace(/\p{C}/gu, '?').slice(0, 60)
  return `with a page${title === undefined ? '' : ` "${title}"`}${from === '' ? '' : ` from ${from}`}`
}
