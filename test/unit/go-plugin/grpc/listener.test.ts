import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type ListenPlace, listen, listenPlace } from '../../../../plugins/go-plugin/grpc/listener.ts'
import { newPlace } from '../in-process.ts'

function place(changes: Partial<ListenPlace> = {}): ListenPlace {
  return { ...newPlace(), ...changes }
}

describe('listenPlace', () => {
  it('prefers the host folder for sockets to TMPDIR, and that to the system folder [C09]', () => {
    expect(listenPlace({ PLUGIN_UNIX_SOCKET_DIR: '/a', TMPDIR: '/b' }, 'unix').folder).toBe('/a')
    expect(listenPlace({ PLUGIN_UNIX_SOCKET_DIR: '', TMPDIR: '/b' }, 'unix').folder).toBe('/b')
    expect(listenPlace({}, 'unix').folder).toBe(tmpdir())
  })

  it.each([
    [{ PLUGIN_MIN_PORT: '1', PLUGIN_MAX_PORT: 'x' }, 'PLUGIN_MAX_PORT is "x", expected a port number'],
    [{ PLUGIN_MIN_PORT: '70000' }, 'PLUGIN_MIN_PORT is "70000", expected a port number'],
    [{ PLUGIN_MIN_PORT: '-1' }, 'PLUGIN_MIN_PORT is "-1", expected a port number'],
    [{ PLUGIN_MIN_PORT: '2', PLUGIN_MAX_PORT: '1' }, 'PLUGIN_MIN_PORT 2 is above PLUGIN_MAX_PORT 1'],
  ])('refuses the ports of %o', (env, message) => {
    expect(() => listenPlace(env, 'tcp')).toThrow(new Error(message))
  })
})

describe('listen', () => {
  it('lets only the owner connect from the first moment on, and leaves the umask alone [C09]', async () => {
    const umask = process.umask()
    const listener = await listen(place(), (socket) => socket.end('hi'))
    expect(process.umask()).toBe(umask)
    expect(statSync(listener.address).mode & 0o777).toBe(0o600)
    const [data] = (await once(createConnection({ path: listener.address }), 'data')) as [Buffer]
    expect(data.toString()).toBe('hi')
    listener.close()
    expect(existsSync(listener.address)).toBe(false)
  })

  it('tells how long a path may be [C11]', async () => {
    const folder = `/tmp/${'x'.repeat(120)}`
    await expect(listen(place({ folder }), () => undefined)).rejects.toThrow(
      /^socket path \/tmp\/x+\/plugin[0-9a-f]{16} has 148 bytes, at most 107 are possible; set TMPDIR to a shorter folder$/,
    )
  })

  it('says that the folder is missing, or none [process:start:reason]', async () => {
    await expect(listen(place({ folder: '/nonexistent' }), () => undefined)).rejects.toThrow(
      'no socket can be made in /nonexistent: the folder does not exist; make it, or set TMPDIR to one that exists',
    )
    const file = join(place().folder, 'file')
    writeFileSync(file, '')
    await expect(listen(place({ folder: file }), () => undefined)).rejects.toThrow(
      `no socket can be made in ${file}: it is no folder; set TMPDIR to one`,
    )
  })

  it('fails for a group that does not exist [C10]', async () => {
    await expect(listen(place({ group: 'no such group' }), () => undefined)).rejects.toThrow(
      'PLUGIN_UNIX_SOCKET_GROUP: no group is named "no such group"',
    )
  })

  it('takes the first free TCP port of the range, on the loopback address only', async () => {
    const other = createServer()
    await once(other.listen(0, '127.0.0.1'), 'listening')
    const taken = (other.address() as { port: number }).port
    const ports = { min: taken, max: taken + 20 }
    const listener = await listen(place({ transport: 'tcp', ports }), () => undefined)
    const port = Number(/^127\.0\.0\.1:(\d+)$/.exec(listener.address)?.[1])
    expect(port).toBeGreaterThan(taken)
    listener.close()
    const full = listen(place({ transport: 'tcp', ports: { min: taken, max: taken } }), () => undefined)
    await expect(full).rejects.toThrow(`no free TCP port on 127.0.0.1 from ${taken} to ${taken}`)
    other.close()
  })
})
