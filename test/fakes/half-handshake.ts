// A TLS 1.2 server that shows certificates, which go in the clear there, and hangs up. It has no key and proves nothing,
// so anybody on the way to a port can be it.

import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

const HANDSHAKE = 22
const SERVER_HELLO = 2
const CERTIFICATE = 11
const TLS_1_2 = [3, 3]
/** TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256. */
const CIPHERS = { ecdsa: [0xc0, 0x2b], rsa: [0xc0, 0x2f] } as const
const MAX_RECORD = 16_000

/** A server that shows a chain and closes. */
export interface HalfHandshake extends AsyncDisposable {
  readonly port: number
  /** Shows another chain from now on. */
  show(chain: readonly (string | Uint8Array)[], cipher?: keyof typeof CIPHERS): void
  /** How many connections got their certificates. */
  readonly shown: () => number
}

/**
 * Starts the server on 127.0.0.1.
 * @param port Default: a free one.
 * @returns The server; it shows nothing until told.
 */
export async function startHalfHandshake(port = 0): Promise<HalfHandshake> {
  let answer: Uint8Array = Buffer.alloc(0)
  let shown = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    socket.once('data', () => {
      shown += 1
      socket.end(answer)
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    show: (chain, cipher = 'ecdsa') => {
      answer = records(Buffer.concat([serverHello(CIPHERS[cipher]), certificateMessage(chain)]))
    },
    shown: () => shown,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function serverHello(cipher: readonly number[]): Buffer {
  const extensions = Buffer.from([0xff, 0x01, 0, 1, 0, 0, 0x17, 0, 0])
  const body = [...TLS_1_2, ...Buffer.alloc(32, 7), 0, ...cipher, 0, 0, extensions.length, ...extensions]
  return message(SERVER_HELLO, Buffer.from(body))
}

function certificateMessage(chain: readonly (string | Uint8Array)[]): Buffer {
  const entries = chain.map((one) => sized(typeof one === 'string' ? new X509Certificate(one).raw : one))
  return message(CERTIFICATE, sized(Buffer.concat(entries)))
}

function message(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type]), sized(body)])
}

function sized(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(3)
  length.writeUIntBE(bytes.length, 0, 3)
  return Buffer.concat([length, bytes])
}

function records(messages: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < messages.length; at += MAX_RECORD) {
    const part = messages.subarray(at, at + MAX_RECORD)
    parts.push(Buffer.from([HANDSHAKE, ...TLS_1_2, part.length >> 8, part.length & 0xff]), part)
  }
  return Buffer.concat(parts)
}
