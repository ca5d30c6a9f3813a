/**
 * One TCP or TLS connection with what a later failure of it needs to be explained.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import type * as net from 'node:net'

/** How far a connection came. */
export type ConnectionPhase = 'resolving' | 'connecting' | 'handshake' | 'open'

/** The facts of one connection. */
export interface Connection {
  phase: ConnectionPhase
  readonly socket: net.Socket
  /** When it was begun, by the monotonic clock. */
  readonly began: number
  /** Whether the handshake was done, and with it the server's certificates judged. */
  judged?: boolean
  /** Whether an earlier TLS session was taken up again. */
  resumed: boolean
  /** Certificates the server sent, leaf first; empty for plain HTTP and resumed sessions. */
  presented: readonly X509Certificate[]
}
