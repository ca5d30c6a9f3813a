/**
 * Shares one swtpm among several clients: swtpm serves one connection, and a Keylime agent holds it between commands.
 * Here whole commands go through one at a time. It keeps no track of handles (libtss2 reconnects for every command), so
 * whoever loads an object flushes it. A process of its own: `node tpm-mux.ts <port> <swtpm data socket> <its control
 * socket>`; clients use `swtpm:host=127.0.0.1,port=<port>`.
 *
 * @module
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

const LOCALHOST = '127.0.0.1'
const HEADER_BYTES = 10
const MAX_FRAME_BYTES = 65_536

/** Cuts a byte stream into TPM commands or responses: tag u16, size u32 of the whole, code u32. */
function newFrameCutter(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0)
  return (chunk) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= HEADER_BYTES) {
      const size = pending.readUInt32BE(2)
      if (size < HEADER_BYTES || size > MAX_FRAME_BYTES) throw new Error(`TPM frame of ${size} bytes`)
      if (pending.length < size) return
      onFrame(pending.subarray(0, size))
      pending = pending.subarray(size)
    }
  }
}

interface Tpm {
  exchange(command: Buffer): Promise<Buffer>
}

/** One connection to swtpm's data socket; `exchange` runs one command at a time, in the order asked. */
async function openTpm(path: string): Promise<Tpm> {
  const socket = connect(path)
  await once(socket, 'connect')
  const waiting: ((response: Buffer) => void)[] = []
  const cut = newFrameCutter((frame) => waiting.shift()?.(frame))
  socket.on('data', cut)
  // The TPM is gone: so are all its clients' connections, and the rig sees this process end.
  socket.on('close', () => process.exit(0))
  socket.on('error', () => process.exit(1))
  let last: Promise<unknown> = Promise.resolve()
  return {
    exchange(command) {
      const answer = last.then(
        () =>
          new Promise<Buffer>((resolve) => {
            waiting.push(resolve)
            socket.write(command)
          }),
      )
      last = answer
      return answer
    },
  }
}

function serveClient(client: Socket, tpm: Tpm): void {
  let last: Promise<unknown> = Promise.resolve()
  const relay = async (previous: Promise<unknown>, command: Buffer): Promise<void> => {
    await previous
    const response = await tpm.exchange(command)
    if (client.writable) client.write(response)
  }
  const cut = newFrameCutter((command) => {
    last = relay(last, command)
  })
  client.on('data', (chunk: Buffer) => {
    try {
      cut(chunk)
    } catch {
      client.destroy()
    }
  })
  client.on('error', () => client.destroy())
}

/** swtpm's control socket serves one connection at a time, and so do we. */
function newControlRelay(path: string): (client: Socket) => void {
  let last: Promise<unknown> = Promise.resolve()
  return (client) => {
    client.pause()
    client.on('error', () => client.destroy())
    last = last.then(
      () =>
        new Promise<void>((resolve) => {
          if (client.destroyed) return resolve()
          const control = connect(path)
          const end = (): void => {
            client.destroy()
            control.destroy()
            resolve()
          }
          client.on('close', end)
          control.on('close', end)
          control.on('error', end)
          client.pipe(control)
          control.pipe(client)
        }),
    )
  }
}

async function main(args: readonly string[]): Promise<void> {
  const [port, dataPath, controlPath] = args
  if (port === undefined || dataPath === undefined || controlPath === undefined) {
    process.stderr.write('usage: node tpm-mux.ts <port> <swtpm data socket> <swtpm control socket>\n')
    process.exit(2)
  }
  const tpm = await openTpm(dataPath)
  // A client's TCTI takes the port after the data port for its control connections.
  createServer({ pauseOnConnect: true }, newControlRelay(controlPath)).listen(Number(port) + 1, LOCALHOST)
  createServer((client) => serveClient(client, tpm)).listen(Number(port), LOCALHOST)
}

await main(process.argv.slice(2))
