/**
 * A plugin's side of one multiplexed connection; loaded only when the host asks for it.
 *
 * @module
 */
import type { Duplex } from 'node:stream'
import type { BrokerParts, ClosableBroker } from './broker.ts'
import { newMuxBroker } from './mux-broker.ts'
import { newYamuxSession, type StreamMuxer } from './yamux-session.ts'

/** Broker and connection handler that belong together. */
export interface MuxTransport {
  readonly broker: ClosableBroker
  /**
   * Serves one raw connection of the host.
   *
   * @param connection The accepted connection.
   * @param serveMain Takes the streams that are for the main server.
   */
  readonly handle: (connection: Duplex, serveMain: (stream: Duplex) => void) => void
}

/**
 * Makes the multiplexed transport of a plugin.
 *
 * @param parts Parts of its broker.
 * @returns Transport that waits for the host's connection.
 */
export function newMuxTransport(parts: BrokerParts): MuxTransport {
  let session: StreamMuxer | undefined
  const broker = newMuxBroker({ ...parts, muxer: () => session })
  return {
    broker: {
      ...broker,
      close: () => {
        broker.close()
        session?.close()
      },
    },
    handle: (connection, serveMain) => {
      session = newYamuxSession(connection, 'server', (stream) => {
        if (!broker.claim(stream)) serveMain(stream)
      })
    },
  }
}
