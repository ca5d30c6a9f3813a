// A plain HTTPS client for tests that talk to a fake server directly.

import { request as plainRequest } from 'node:http'
import { type Agent, request } from 'node:https'

/** An answer as it came over the wire. */
export interface HttpAnswer {
  readonly status: number
  readonly contentType: string | undefined
  readonly date: string | undefined
  readonly body: string
}

/** Says how to connect; all PEM. */
export interface HttpsGetOptions {
  readonly ca?: string | undefined
  readonly cert?: string
  readonly key?: string
  readonly method?: string
  /** Keeps connections and TLS sessions; default a new connection each time. */
  readonly agent?: Agent
  readonly signal?: AbortSignal
}

/**
 * Sends one request.
 * @param url Absolute, http or https; the path is sent as it is.
 * @throws {Error} Node's error when the connection fails.
 */
export function httpsGet(url: string, options: HttpsGetOptions = {}): Promise<HttpAnswer> {
  const { agent = false, ...rest } = options
  const { protocol, hostname, port } = new URL(url)
  const path = url.slice(new URL(url).origin.length)
  return new Promise((resolve, reject) => {
    const send = protocol === 'http:' ? plainRequest : request
    const outgoing = send({ hostname, port, path, agent, ...rest }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const { 'content-type': contentType, date } = incoming.headers
        resolve({ status: incoming.statusCode ?? 0, contentType, date, body: Buffer.concat(chunks).toString() })
      })
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}
