/**
 * A TPM for clients that connect anew for each command and expect what they loaded to be there still, as an emulator
 * without resource manager keeps it: all their connections are one to the multiplexer.
 *
 * @see google/go-tpm v0.9.6, tpmutil/emulator.go
 * @module
 */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'

const HEADER_BYTES = 10

/** The open socket. */
export interface HeldTpm {
  /** Ends it; what was loaded through it is flushed. */
  close(): void
}

/**
 * Opens a socket in front of a TPM.
 *
 * @param tpmPath The multiplexer's socket.
 * @param socketPath Where clients connect, one at a time.
 */
export async function holdTpm(tpmPath: string, socketPath: string): Promise<HeldTpm> {
  const held = connect(tpmPath)
  await once(held, 'connect')
  let asking: Socket | undefined
  let answer = Buffer.alloc(0)
  held.on('data', (chunk: Buffer) => {
    answer = Buffer.concat([answer, chunk])
    if (answer.length < HEADER_BYTES || answer.length < answer.readUInt32BE(2)) return
    // Whole: the client reads once and hangs up.
    asking?.write(answer)
    answer = Buffer.alloc(0)
  })
  rmSync(socketPath, { force: true })
  const server = createServer((client) => {
    client.on('error', () => client.destroy())
    client.on('data', (command: Buffer) => {
      asking = client
      held.write(command)
    })
  })
  server.listen(socketPath)
  await once(server, 'listening')
  return {
    close: () => {
      server.close()
      held.destroy()
    },
  }
}
