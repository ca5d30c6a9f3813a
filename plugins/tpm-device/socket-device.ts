/**
 * A TPM behind a UNIX socket that speaks bare commands and responses, as swtpm's data socket does.
 *
 * @module
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { HEADER_BYTES, MAX_RESPONSE_BYTES } from '@tower-of-omens/tpm/commands'
import { TpmDeviceError } from './device-error.ts'
import type { Transport } from './transport.ts'

const SIZE_AT = 2

/**
 * Connects to a socket.
 *
 * @param path Of the UNIX socket.
 * @returns The way to its TPM.
 * @throws {Error} As `connect` of `node:net`; `open-tpm.ts` explains it.
 */
export async function openSocketDevice(path: string): Promise<Transport> {
  const socket = connect(path)
  await once(socket, 'connect')
  return new SocketTransport(path, socket)
}

interface Waiting {
  resolve(response: Buffer): void
  reject(error: TpmDeviceError): void
}

class SocketTransport implements Transport {
  readonly path: string
  readonly #socket: Socket
  #received = Buffer.alloc(0)
  #waiting: Waiting | undefined
  #failure: TpmDeviceError | undefined

  constructor(path: string, socket: Socket) {
    this.path = path
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.#fail(`failed: ${error.message}`))
    socket.on('close', () => this.#fail('closed the connection'))
  }

  exchange(command: Uint8Array): Promise<Buffer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    this.#waiting = { resolve, reject }
    this.#socket.write(command)
    return promise
  }

  close(): Promise<void> {
    this.#socket.destroy()
    return Promise.resolve()
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    if (this.#received.length < HEADER_BYTES) return
    const size = this.#received.readUInt32BE(SIZE_AT)
    if (size < HEADER_BYTES || size > MAX_RESPONSE_BYTES) return this.#drop(`announced a response of ${size} bytes`)
    if (this.#received.length < size) return
    if (this.#received.length > size) return this.#drop('sent more than one response to a command')
    const waiting = this.#waiting
    if (waiting === undefined) return this.#drop('sent a response to no command')
    const response = this.#received
    this.#received = Buffer.alloc(0)
    this.#waiting = undefined
    waiting.resolve(response)
  }

  #drop(what: string): void {
    this.#fail(what, 'TPM_BROKEN')
    this.#socket.destroy()
  }

  #fail(what: string, code: 'TPM_LOST' | 'TPM_BROKEN' = 'TPM_LOST'): void {
    this.#failure ??= new TpmDeviceError(code, `tpm ${this.path} ${what}`)
    this.#waiting?.reject(this.#failure)
    this.#waiting = undefined
  }
}
