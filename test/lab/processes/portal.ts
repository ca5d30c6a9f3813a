/**
 * A door into a host's network: a process there that joins a Unix socket to whatever address the caller names.
 *
 * The tower's driver stays in a namespace without these addresses, so that nothing it does can leave the machine; TLS is
 * the caller's, end to end.
 *
 * Usage: ip netns exec HOST node test/lab/tower/portal.ts SOCKET
 *
 * @module
 */
import { connect, createServer, type Socket } from 'node:net'

/** Longest first line, `host port\n`. */
const MAX_LINE = 300

const [, , path] = process.argv
if (path === undefined) throw new Error('usage: portal.ts SOCKET')

createServer((caller) => {
  caller.on('error', () => caller.destroy())
  let line = ''
  const onData = (chunk: Buffer): void => {
    line += chunk.toString('latin1')
    const end = line.indexOf('\n')
    if (end < 0 && line.length <= MAX_LINE) return
    caller.off('data', onData)
    caller.pause()
    const [host = '', port = ''] = line.slice(0, end).split(' ')
    join(caller, connect({ host, port: Number(port) }))
  }
  caller.on('data', onData)
}).listen(path)

/** Tells the caller `ok` once the far side is connected, then passes bytes both ways. */
function join(caller: Socket, far: Socket): void {
  far.on('error', (error) => caller.end(`${'code' in error ? String(error.code) : error.message}\n`))
  far.on('connect', () => {
    caller.write('ok\n')
    caller.pipe(far)
    far.pipe(caller)
    caller.resume()
  })
  far.on('close', () => caller.destroy())
  caller.on('close', () => far.destroy())
}
