/**
 * The socket a plugin listens on: a unix socket only its owner can open, or TCP on the loopback address.
 *
 * @see hashicorp/go-plugin dd3617a, server.go (serverListener_unix, serverListener_tcp)
 * @module
 */
import { randomBytes } from 'node:crypto'
import { accessSync, chmodSync, chownSync, constants, readFileSync, statSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where to listen, as the host's environment says. */
export interface ListenPlace {
  readonly transport: 'unix' | 'tcp'
  /** Folder of unix sockets. */
  readonly folder: string
  /** Group that may connect, by name or number; `undefined` for the owner alone. */
  readonly group: string | undefined
  /** Ports to try, both included; 0 and 0 for any. */
  readonly ports: { readonly min: number; readonly max: number }
}

/** A bound socket. */
export interface Listener {
  readonly network: 'unix' | 'tcp'
  /** Socket path, or `127.0.0.1:<port>`. */
  readonly address: string
  readonly server: Server
  /** Stops listening and removes the socket file, at once. Connections stay. */
  close(): void
}

/** `sun_path` holds 108 bytes, the last one zero. */
const MAX_SOCKET_PATH_BYTES = 107

/**
 * Reads from the environment where the host wants the socket.
 *
 * @param env Environment of the process.
 * @param transport `unix`, or `tcp` for hosts without unix sockets.
 * @returns Place to listen on.
 * @throws {Error} A port is no number, or the range is empty.
 */
export function listenPlace(env: NodeJS.ProcessEnv, transport: 'unix' | 'tcp'): ListenPlace {
  const min = portOf(env, 'PLUGIN_MIN_PORT')
  const max = portOf(env, 'PLUGIN_MAX_PORT')
  if (min > max) throw new Error(`PLUGIN_MIN_PORT ${min} is above PLUGIN_MAX_PORT ${max}`)
  return {
    transport,
    folder: nonEmpty(env['PLUGIN_UNIX_SOCKET_DIR']) ?? nonEmpty(env['TMPDIR']) ?? tmpdir(),
    group: nonEmpty(env['PLUGIN_UNIX_SOCKET_GROUP']),
    ports: { min, max },
  }
}

function portOf(env: NodeJS.ProcessEnv, key: string): number {
  const text = env[key] ?? ''
  if (text === '') return 0
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new Error(`${key} is ${JSON.stringify(text)}, expected a port number`)
  return port
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/**
 * Binds a socket.
 *
 * @param place Where.
 * @param onConnection Takes every connection, the first one included.
 * @returns The bound socket.
 * @throws {Error} The path is too long, the folder or group does not exist, or no port is free.
 */
export function listen(place: ListenPlace, onConnection: (socket: Socket) => void): Promise<Listener> {
  return place.transport === 'tcp' ? listenTcp(place, onConnection) : listenUnix(place, onConnection)
}

async function listenUnix(place: ListenPlace, onConnection: (socket: Socket) => void): Promise<Listener> {
  const path = join(place.folder, `plugin${randomBytes(8).toString('hex')}`)
  const length = Buffer.byteLength(path)
  if (length > MAX_SOCKET_PATH_BYTES) {
    throw new Error(
      `socket path ${path} has ${length} bytes, at most ${MAX_SOCKET_PATH_BYTES} are possible; ` +
        'set TMPDIR to a shorter folder',
    )
  }
  const gid = place.group === undefined ? undefined : await groupId(place.group)
  const server = createServer(onConnection)
  // `exclusive`: with NODE_UNIQUE_ID in the environment Node.js would ask a parent to listen that is not there.
  // The socket is bound inside listen(): from its first moment on only the owner can connect.
  const umask = process.umask(0o177)
  const bound = bind(server, () => server.listen({ path, exclusive: true }))
  process.umask(umask)
  try {
    await bound
  } catch (error) {
    throw folderFault(place.folder) ?? error
  }
  if (gid !== undefined) {
    chownSync(path, -1, gid)
    chmodSync(path, 0o660)
  }
  return { network: 'unix', address: path, server, close: () => closeUnix(server, path) }
}

/** Says what is wrong with the folder, where something is: libuv calls a missing one a permission that is denied. */
function folderFault(folder: string): Error | undefined {
  const fault = (text: string): Error => new Error(`no socket can be made in ${folder}: ${text}`)
  try {
    if (!statSync(folder).isDirectory()) return fault('it is no folder; set TMPDIR to one')
    accessSync(folder, constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return fault('the folder does not exist; make it, or set TMPDIR to one that exists')
    }
    return fault(`user ${process.getuid?.()} may not write there; set TMPDIR to another folder`)
  }
}

function closeUnix(server: Server, path: string): void {
  server.close()
  try {
    unlinkSync(path)
  } catch {
    // libuv has removed it already.
  }
}

async function listenTcp(place: ListenPlace, onConnection: (socket: Socket) => void): Promise<Listener> {
  const { min, max } = place.ports
  for (let port = min; port <= max; port++) {
    const server = createServer(onConnection)
    try {
      await bind(server, () => server.listen({ host: '127.0.0.1', port, exclusive: true }))
    } catch (error) {
      if (port < max) continue
      throw new Error(`no free TCP port on 127.0.0.1 from ${min} to ${max}`, { cause: error })
    }
    const bound = server.address()
    const actual = typeof bound === 'object' && bound !== null ? bound.port : port
    return { network: 'tcp', address: `127.0.0.1:${actual}`, server, close: () => server.close() }
  }
  throw new Error(`no TCP port from ${min} to ${max}`)
}

function bind(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.removeListener('error', reject)
      resolve()
    })
    start()
  })
}

async function groupId(group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group)
  const entry = (await groupLine(group))?.split(':')[2]
  if (entry === undefined) throw new Error(`PLUGIN_UNIX_SOCKET_GROUP: no group is named ${JSON.stringify(group)}`)
  return Number(entry)
}

// /etc/group first; a directory service only where the machine has `getent`.
async function groupLine(group: string): Promise<string | undefined> {
  const lines = readFileSync('/etc/group', 'utf8').split('\n')
  const local = lines.find((line) => line.startsWith(`${group}:`))
  if (local !== undefined) return local
  const { execFileSync } = await import('node:child_process')
  try {
    return execFileSync('getent', ['group', group], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
}
