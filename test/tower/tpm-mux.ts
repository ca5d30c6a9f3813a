/**
 * A small TPM resource manager: many clients share one swtpm, one command at a time, and what a client loaded is flushed
 * when it leaves. Without it a second client hangs, and every restart of a Keylime agent leaks TPM objects.
 *
 * Usage: node test/tower/tpm-mux.ts LISTEN_PORT TPM_PORT [ADDRESS]   (control channels are one port higher)
 *
 * @see TCG TPM 2.0 Library part 3, commands that return a handle
 * @module
 */
import { connect, createServer, type Socket } from 'node:net'

const CC_FLUSH_CONTEXT = 0x165
const CC_CONTEXT_SAVE = 0x162

/** CreatePrimary, Load, HMAC_Start, ContextLoad, LoadExternal, StartAuthSession, HashSequenceStart, CreateLoaded. */
const HANDLE_MAKERS = new Set([0x131, 0x157, 0x15b, 0x161, 0x167, 0x176, 0x186, 0x191])

/** First byte of a loaded session's handle: HMAC or policy. */
const isSession = (handle: number): boolean => handle >>> 24 === 0x02 || handle >>> 24 === 0x03

const isTransient = (handle: number): boolean => handle >>> 24 === 0x80

/** Splits a stream into TPM frames: tag (2 bytes), total size (4), rest. */
class Frames {
  #buffer = Buffer.alloc(0)

  push(chunk: Buffer): Buffer[] {
    this.#buffer = Buffer.concat([this.#buffer, chunk])
    const frames: Buffer[] = []
    while (this.#buffer.length >= 6) {
      const size = this.#buffer.readUInt32BE(2)
      if (this.#buffer.length < size) break
      frames.push(this.#buffer.subarray(0, size))
      this.#buffer = this.#buffer.subarray(size)
    }
    return frames
  }
}

/** The one connection to the TPM; commands queue. */
class Tpm {
  readonly #port: number
  #socket: Socket | undefined
  #frames = new Frames()
  #waiting: ((answer: Buffer | undefined) => void) | undefined
  #tail: Promise<unknown> = Promise.resolve()

  constructor(port: number) {
    this.#port = port
  }

  /** Sends one command when all earlier ones are answered; `undefined` when the TPM is gone. */
  send(command: Buffer): Promise<Buffer | undefined> {
    const answer = this.#tail.then(() => this.#exchange(command))
    this.#tail = answer
    return answer
  }

  #exchange(command: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      this.#waiting = resolve
      this.#connected().write(command)
    })
  }

  #connected(): Socket {
    if (this.#socket !== undefined) return this.#socket
    const socket = connect(this.#port, '127.0.0.1')
    this.#frames = new Frames()
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#frames.push(chunk)) this.#answer(Buffer.from(frame))
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined
      this.#answer(undefined)
    })
    return socket
  }

  #answer(frame: Buffer | undefined): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.(frame)
  }
}

const [, , listenText, tpmText, address = '127.0.0.1'] = process.argv
const listenPort = Number(listenText)
const tpmPort = Number(tpmText)
const tpm = new Tpm(tpmPort)

/** Which client owns a loaded handle; a handle that the TPM gives out again belongs to the new client only. */
const owners = new Map<number, Socket>()

/** Notes what a command that succeeded loaded, saved or flushed. */
function account(client: Socket, command: Buffer, answer: Buffer): void {
  if (command.length < 10 || answer.length < 10 || answer.readUInt32BE(6) !== 0) return
  const code = command.readUInt32BE(6)
  if (HANDLE_MAKERS.has(code) && answer.length >= 14) {
    const handle = answer.readUInt32BE(10)
    if (isTransient(handle) || isSession(handle)) owners.set(handle, client)
  } else if (code === CC_FLUSH_CONTEXT && command.length >= 14) {
    owners.delete(command.readUInt32BE(10))
  } else if (code === CC_CONTEXT_SAVE && command.length >= 14) {
    // A saved session leaves the TPM's memory and may be loaded again by another process of the same user.
    const handle = command.readUInt32BE(10)
    if (isSession(handle)) owners.delete(handle)
  }
}

async function flushAll(client: Socket): Promise<void> {
  for (const [handle, owner] of owners) {
    if (owner !== client) continue
    owners.delete(handle)
    const command = Buffer.alloc(14)
    command.writeUInt16BE(0x8001, 0)
    command.writeUInt32BE(14, 2)
    command.writeUInt32BE(CC_FLUSH_CONTEXT, 6)
    command.writeUInt32BE(handle, 10)
    await tpm.send(command)
  }
}

createServer((client) => {
  const frames = new Frames()
  client.on('error', () => client.destroy())
  client.on('data', (chunk: Buffer) => {
    for (const frame of frames.push(chunk)) {
      const command = Buffer.from(frame)
      void tpm.send(command).then((answer) => {
        if (answer === undefined) return client.destroy()
        account(client, command, answer)
        return client.write(answer)
      })
    }
  })
  client.on('close', () => void flushAll(client))
}).listen(listenPort, address)

// The TCTI opens a short control connection for each use; swtpm serves one at a time, so they queue here.
let control: Promise<void> = Promise.resolve()
createServer((client) => {
  client.on('error', () => client.destroy())
  control = control.then(() => passControl(client))
}).listen(listenPort + 1, address)

/** Joins a control connection to the TPM's until either side closes. */
function passControl(client: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const far = connect(tpmPort + 1, '127.0.0.1')
  const end = (): void => {
    client.destroy()
    far.destroy()
    resolve()
  }
  far.on('error', end)
  far.on('close', end)
  client.on('close', end)
  client.pipe(far)
  far.pipe(client)
  return promise
}
