/**
 * The question whether a connection closed without a word was closed because of our certificate.
 *
 * @module
 */

import type { KeylimeError } from '../basis/errors.ts'
import { newFailure } from '../basis/failures.ts'
import type { TlsMaterial } from '../tls-files/tls-files.ts'
import type { Connector } from './connect.ts'
import { type Peer, peerInWords } from './peer.ts'
import type { RequestScope } from './request-scope.ts'
import { explainTlsFailure, refusalInWords } from './tls-failures.ts'

/** Time that a server which refuses a certificate may take to say so. */
const QUIET_MS = 500

/**
 * Connects once more and sends nothing.
 *
 * In TLS 1.3 a server judges our certificate after our side of the handshake is over, and its refusal can be lost when
 * our request crosses it. Without a request it is not: a server that closes even so does not want our certificate; one
 * that stays open had another reason.
 *
 * @param connector Makes the connection.
 * @param peer The service.
 * @param material What we present.
 * @param scope Until when.
 * @returns The refusal, or undefined when the server accepts the certificate.
 */
export async function explainSilentClose(
  connector: Connector,
  peer: Peer,
  material: TlsMaterial,
  scope: RequestScope,
): Promise<KeylimeError | undefined> {
  let connection: Awaited<ReturnType<Connector['open']>>
  try {
    connection = await connector.open()
  } catch {
    return undefined
  }
  const { socket, presented } = connection
  const error = await new Promise<Error | 'closed' | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), QUIET_MS)
    scope.waitFor(() => resolve(undefined))
    socket.once('error', resolve)
    socket.once('close', () => resolve('closed'))
    socket.once('end', () => resolve('closed'))
    socket.once('close', () => clearTimeout(timer))
    socket.resume()
  })
  socket.destroy()
  if (error === undefined) return undefined
  const said = error === 'closed' ? undefined : explainTlsFailure(error, { peer, material, presented, now: Date.now() })
  const reason = material.client === undefined ? 'client-missing' : 'client-certificate'
  return said ?? newFailure(reason, `${peerInWords(peer)} ${refusalInWords(reason, material)}`)
}
