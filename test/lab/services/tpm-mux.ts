/**
 * Shares one swtpm among several clients: swtpm serves one connection, and a Keylime agent holds it between commands.
 * Here whole commands go through one at a time, and what a client left loaded is flushed when its process is gone. A
 * client over TCP is a process, not a connection: libtss2 reconnects for every command. A client over the UNIX socket
 * is its connection, as an open file of /dev/tpmrm0 is. A process of its own: `node tpm-mux.ts <port> <swtpm data socket>
 * <its control socket> <clients' UNIX socket>`; clients use `swtpm:host=127.0.0.1,port=<port>` or the last.
 *
 * @module
 */
import { once } from 'node:events'
import { connect, createServer, Socket } from 'node:net'
import { reasonOf } from '../processes/errors.ts'
import { isAlive, type Owner, TcpOwners } from '../processes/tcp-owner.ts'
import { changeOf, flushCommand, HandleLedger, mayLoad } from './handle-ledger.ts'

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

/** Who loads: a process, or a connection of its own. */
type Client = Owner | Socket

function isGone(client: Client): boolean {
  return client instanceof Socket ? client.destroyed : !isAlive(client)
}

/** Runs commands for clients, one at a time, and takes out what the ones that are gone have left. */
function newResourceManager(tpm: Tpm): (client: Socket, command: Buffer) => Promise<Buffer> {
  const ledger = new HandleLedger<Client>()
  const owners = new TcpOwners()
  const ownerOf = (client: Socket): Client | undefined =>
    client.remotePort === undefined ? client : owners.find(client.remotePort, client.localPort ?? 0)
  const run = async (client: Socket, command: Buffer): Promise<Buffer> => {
    for (const gone of [...ledger.clients()].filter(isGone)) {
      // One that went by itself, such as a session that ended with its last command, is not worth an error.
      for (const handle of ledger.strike(gone)) await tpm.exchange(flushCommand(handle))
    }
    // Looked up while the client waits: afterwards it may have closed the connection.
    const owner = mayLoad(command) ? ownerOf(client) : undefined
    const response = await tpm.exchange(command)
    const change = changeOf(command, response)
    if (change?.gone !== undefined) ledger.forget(change.gone)
    if (change?.loaded !== undefined) ledger.enter(change.loaded, owner)
    return response
  }
  let last: Promise<unknown> = Promise.resolve()
  return (client, command) => {
    const answer = last.then(() => run(client, command))
    last = answer.catch(() => undefined)
    return answer
  }
}

function serveClient(client: Socket, exchange: (command: Buffer) => Promise<Buffer>): void {
  let last: Promise<unknown> = Promise.resolve()
  const relay = async (previous: Promise<unknown>, command: Buffer): Promise<void> => {
    await previous
    const response = await exchange(command)
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
  const [port, dataPath, controlPath, clientsPath] = args
  if (port === undefined || dataPath === undefined || controlPath === undefined || clientsPath === undefined) {
    process.stderr.write("usage: node tpm-mux.ts <port> <swtpm data socket> <swtpm control socket> <clients' socket>\n")
    process.exit(2)
  }
  const tpm = await openTpm(dataPath)
  // A client's TCTI takes the port after the data port for its control connections.
  createServer({ pauseOnConnect: true }, newControlRelay(controlPath)).listen(Number(port) + 1, LOCALHOST)
  const run = newResourceManager(tpm)
  const serve = (client: Socket): void => serveClient(client, (command) => run(client, command))
  createServer(serve).listen(Number(port), LOCALHOST)
  createServer(serve).listen(clientsPath)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exit(1)
}
