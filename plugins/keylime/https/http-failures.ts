/**
 * Answers that are no HTTP, or a kind of it that is not read, in the words of an operator.
 *
 * @module
 */
import type { FailureReason } from '../basis/failures.ts'
import type { Peer } from './peer.ts'

/**
 * Explains an answer that could not be read as HTTP.
 *
 * @param code Code of the error.
 * @param error The error of undici.
 * @param peer The service.
 * @returns What it is called, and the sentence after the service's name; undefined when the failure is another.
 */
export function explainHttp(code: string, error: Error, peer: Peer): readonly [FailureReason, string] | undefined {
  if (error.name === 'HTTPParserError') return explainParser(error, peer)
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return ['answer-too-large', 'answers with more than 16 KiB of HTTP headers; look at what a proxy before it adds']
  }
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return [
      'answer-not-json',
      'answers with a body that is not as long as its Content-Length says, or with that header twice; look at the proxy before it',
    ]
  }
  return undefined
}

function explainParser(error: Error, { tls, port, settings }: Peer): readonly [FailureReason, string] {
  if (!tls && beginsTls(error)) {
    const key = settings.useTls
    const hint = key === undefined ? 'it may be a TLS port' : `if it is a TLS port, set ${key} = true`
    return ['tls-expected', `does not speak plain HTTP on port ${port}; ${hint}`]
  }
  // The parser's own words; what the service sent, which may hold a secret, is not among them.
  const why = /\(([\w ,/'-]{1,80})\)$/.exec(error.message)?.[1] ?? 'it cannot be parsed'
  return [
    'answer-not-json',
    `answers in something that is not HTTP/1.1: ${why}; check host and port, and the proxy before it`,
  ]
}

/** Tells a record of TLS, such as the alert with which a TLS server answers a plain request. */
function beginsTls(error: Error): boolean {
  if (!('data' in error) || typeof error.data !== 'string') return false
  const [type, version] = [error.data.charCodeAt(0), error.data.charCodeAt(1)]
  return type >= 0x14 && type <= 0x17 && version === 3
}
