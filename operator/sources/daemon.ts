/**
 * Asking the daemon, which holds the keys so that people need none.
 *
 * @module
 */
import { request } from 'node:http'
import type { Envelope } from '../report.ts'

/** Longest wait: the daemon itself asks everybody, with limits of its own. */
const LIMIT_MS = 30_000

/**
 * Asks the daemon's socket.
 *
 * @param socketPath Where it answers.
 * @param path What is asked, with its query.
 * @returns Its document; undefined when no daemon is there or this user may not ask.
 */
export function askDaemon(socketPath: string, path: string): Promise<Envelope | undefined> {
  const { promise, resolve } = Promise.withResolvers<Envelope | undefined>()
  const asked = request({ socketPath, path, timeout: LIMIT_MS }, (answer) => {
    let body = ''
    answer.setEncoding('utf8')
    answer.on('data', (chunk: string) => {
      body += chunk
    })
    answer.on('error', () => resolve(undefined))
    answer.on('end', () => resolve(answer.statusCode === 200 ? documentOf(body) : undefined))
  })
  asked.on('error', () => resolve(undefined))
  asked.on('timeout', () => asked.destroy())
  asked.end()
  return promise
}

function documentOf(body: string): Envelope | undefined {
  try {
    // The daemon is this very program, and its documents are tested against their schemas.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return JSON.parse(body) as Envelope
  } catch {
    return undefined
  }
}
