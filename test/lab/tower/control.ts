/**
 * How the command reaches a tower that stands: one JSON line in, text lines out, the last one `exit N`.
 *
 * @module
 */
import { rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cacheDir } from '../parts/cache.ts'
import { RigError, reasonOf } from '../processes/errors.ts'

/** One request: a verb and its words. */
export interface ControlRequest {
  readonly verb: string
  readonly words: readonly string[]
}

/** Carries out a request; what it writes goes to the caller; resolves with the exit code. */
export type ControlHandler = (request: ControlRequest, write: (text: string) => void) => Promise<number>

const EXIT = /^exit (\d+)$/

/** Names the control socket of a tower. */
export function controlSocket(prefix: string): string {
  return join(cacheDir(), `${prefix}.control`)
}

/** Serves the control socket; requests are carried out one after the other. */
export async function serveControl(prefix: string, handle: ControlHandler): Promise<Server> {
  const path = controlSocket(prefix)
  rmSync(path, { force: true })
  let tail: Promise<unknown> = Promise.resolve()
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    createInterface({ input: socket }).once('line', (line) => {
      tail = tail.then(() => answer(socket, line, handle))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return server
}

async function answer(socket: Socket, line: string, handle: ControlHandler): Promise<void> {
  let code = 1
  try {
    code = await handle(JSON.parse(line) as ControlRequest, (text) => socket.write(text))
  } catch (error) {
    socket.write(`${reasonOf(error)}\n`)
  }
  socket.end(`exit ${code}\n`)
}

/** Tells whether a tower stands under a prefix. */
export function stands(prefix: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(controlSocket(prefix))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/**
 * Sends a request to a tower and passes its answer on.
 *
 * @throws {RigError} No such tower stands.
 */
export async function askTower(
  prefix: string,
  request: ControlRequest,
  write: (text: string) => void,
): Promise<number> {
  const socket = connect(controlSocket(prefix))
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', () =>
      reject(new RigError(`no tower ${prefix} stands; raise one with: ./test/lab/tower/tower up --keep`)),
    )
  })
  socket.write(`${JSON.stringify(request)}\n`)
  for await (const line of createInterface({ input: socket })) {
    const exit = EXIT.exec(line)?.[1]
    if (exit !== undefined) return Number(exit)
    write(`${line}\n`)
  }
  throw new RigError('the tower ended before it had answered')
}
