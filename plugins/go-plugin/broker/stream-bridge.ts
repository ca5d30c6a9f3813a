/**
 * A private socket whose every connection is carried on over a stream opened elsewhere: grpc-js dials addresses only.
 *
 * @module
 */
import type { Socket } from 'node:net'
import { type Duplex, pipeline } from 'node:stream'
import { type ListenPlace, listen } from '../grpc/listener.ts'

/** An address that leads to streams. */
export interface StreamBridge {
  /** Target for grpc-js. */
  readonly target: string
  readonly close: () => void
}

/**
 * Opens a bridge.
 *
 * @param place Where to put the socket.
 * @param open Opens the stream for one connection; when it fails, the connection is dropped.
 * @returns The bridge.
 * @throws {Error} The socket cannot be bound.
 */
export async function newStreamBridge(place: ListenPlace, open: () => Promise<Duplex>): Promise<StreamBridge> {
  const sockets = new Set<Socket>()
  const listener = await listen({ ...place, group: undefined }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    void join(socket, open)
  })
  return {
    target: listener.network === 'unix' ? `unix:${listener.address}` : listener.address,
    close: () => {
      listener.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function join(socket: Socket, open: () => Promise<Duplex>): Promise<void> {
  try {
    const stream = await open()
    pipeline(socket, stream, socket, () => {
      socket.destroy()
      stream.destroy()
    })
  } catch {
    // grpc-js sees a closed connection, reports UNAVAILABLE and tries again later.
    socket.destroy()
  }
}
