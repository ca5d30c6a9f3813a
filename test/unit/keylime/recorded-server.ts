// An HTTPS server that answers with recorded exchanges of a real Keylime, byte for byte.
import type { RequestListener } from 'node:http'
import { recorded } from '../../fakes/recorded.ts'

/**
 * Makes a listener from recorded exchanges.
 * @param names Files under test/fixtures/keylime; a request is answered by the one with the same request line.
 * @returns The listener; a request nobody recorded is answered 599.
 */
export function playRecorded(names: readonly string[], seen: string[] = []): RequestListener {
  const exchanges = new Map(names.map((name) => [recorded(name).request, recorded(name)]))
  return (request, response) => {
    const line = `${request.method} ${request.url}`
    seen.push(line)
    const exchange = exchanges.get(line)
    if (exchange === undefined) {
      response.writeHead(599)
      response.end()
      return
    }
    response.writeHead(exchange.status, { 'content-type': exchange.contentType, date: exchange.date })
    response.end(exchange.body)
  }
}
