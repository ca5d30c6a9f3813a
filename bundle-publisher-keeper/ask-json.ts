/**
 * One HTTP request with JSON on both sides.
 *
 * @module
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'

/** What to ask. */
export interface JsonRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  /** PEM of the CA certificates to trust; absent: the system's roots. */
  readonly ca: string | undefined
  readonly body: object | undefined
  /** Limit of the whole exchange. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** What was answered. */
export interface JsonAnswer {
  readonly status: number
  /** The object in the body; empty when there is none. */
  readonly json: Readonly<Record<string, unknown>>
}

const MAX_BODY_BYTES = 1024 * 1024

/**
 * Asks once. No redirect is followed: the token would go along.
 *
 * @param asked See `JsonRequest`.
 * @returns The answer, whatever its status.
 * @throws {Error} The server cannot be reached or trusted, takes too long, or answers too much or no JSON.
 */
export async function askJson(asked: JsonRequest): Promise<JsonAnswer> {
  const { url, timeoutMs, signal } = asked
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    const response = await send(asked, AbortSignal.any([signal, limit]))
    return { status: response.statusCode ?? 0, json: parsed(await bodyOf(response), url) }
  } catch (error) {
    if (limit.aborted) throw new Error(`${url.host} did not answer within ${timeoutMs} ms`, { cause: error })
    throw error
  }
}

function send({ url, method, headers, ca, body }: JsonRequest, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { method, headers: { ...headers, 'content-type': 'application/json' }, signal, agent: false }
    const request =
      url.protocol === 'https:' ? httpsRequest(url, { ...options, ca }, resolve) : httpRequest(url, options, resolve)
    request.on('error', (error) => reject(new Error(`${url.host}: ${error.message}`, { cause: error })))
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) throw new Error(`an answer has more than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parsed(text: string, url: URL): Readonly<Record<string, unknown>> {
  if (text === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch (error) {
    throw new Error(`${url.host} answered no JSON: is that address OpenBao's?`, { cause: error })
  }
}
