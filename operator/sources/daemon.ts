/**
 * Asking the daemon, which holds the keys so that people need none.
 *
 * @module
 */
import { request } from 'node:http'
import type { ExitCode } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'
import type { Envelope } from '../report.ts'
import type { Site } from '../site/site.ts'
import { WATCH_DEFAULTS } from '../site/watch-conf.ts'

/** Status of an answer that is an error document. */
export const REFUSED_STATUS = 422

/** Longest wait: the daemon itself asks everybody, with limits of its own. */
const LIMIT_MS = 30_000

/**
 * Asks the daemon's socket.
 *
 * @param socketPath Where it answers.
 * @param path What is asked, with its query.
 * @returns Its document; undefined when no daemon is there or this user may not ask.
 * @throws {OperatorError} What the daemon found wrong with the question, such as a host that nobody knows.
 */
export function askDaemon(socketPath: string, path: string): Promise<Envelope | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Envelope | undefined>()
  const asked = request({ socketPath, path, timeout: LIMIT_MS }, (answer) => {
    let body = ''
    answer.setEncoding('utf8')
    answer.on('data', (chunk: string) => {
      body += chunk
    })
    answer.on('error', () => resolve(undefined))
    answer.on('end', () => {
      if (answer.statusCode === REFUSED_STATUS) reject(errorOf(documentOf(body)))
      else resolve(answer.statusCode === 200 ? documentOf(body) : undefined)
    })
  })
  asked.on('error', () => resolve(undefined))
  asked.on('timeout', () => asked.destroy())
  asked.end()
  return promise
}

/**
 * Names the socket where the daemon answers questions.
 *
 * @param site What was found on this machine.
 * @returns Its path.
 */
export function readSocketOf({ towerkeep }: Pick<Site, 'towerkeep'>): string {
  return (towerkeep.values.watch ?? WATCH_DEFAULTS).read_socket
}

function errorOf(document: Envelope | undefined): OperatorError {
  const { code, message } = document?.error ?? { code: 'TK-USAGE', message: 'the daemon refused the question' }
  // Written by `errorEnvelope` in the daemon.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return new OperatorError(code, message, document === undefined ? {} : { exit: document.exit as ExitCode })
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
