import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

const NAME_SERVER = '127.0.0.153'
const isRoot = process.getuid?.() === 0

// A listener that stands still with a full queue: the kernel takes up a new connection after a second, as a slow link.
const SLOW = `const server = require('http').createServer((request, response) => response.end('{}'))
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  console.log(server.address().port)
  process.kill(process.pid, 'SIGSTOP')
})`

/** Words that start a plugin with another file in the place of one of the machine's. */
function withFile(file: string, place: string): readonly string[] {
  return ['unshare', '--mount', 'sh', '-ec', `mount --bind ${file} ${place} && exec "$@"`, 'sh']
}

describe.skipIf(!isRoot)('a name with two addresses (skipped without root: needs a mount namespace)', () => {
  it('is waited for while the first one is slow and the second is dead [network:addresses:slow]', async () => {
    await using keylime = await startFakeKeylime({ ak: 'ec-p256' })
    const hosts = keylime.pki.write('hosts', '127.0.0.1 slow.example\n127.0.0.77 slow.example\n', 0o644)
    await using plugin = await ServerPlugin.start({ before: withFile(hosts, '/etc/hosts') })
    const child = spawn(process.execPath, ['-e', SLOW], { stdio: ['ignore', 'pipe', 'ignore'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const port = Number(line)
    const fillers = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => undefined))
    await once(fillers[0] ?? child, 'connect')
    await plugin.configure(
      keylime.serverHcl({
        keylime_verifier_host: 'slow.example',
        keylime_verifier_port: port,
        request_timeout: '20s',
      }),
    )
    const outcome = plugin.attest(keylime.node())
    setTimeout(() => child.kill('SIGCONT'), 800)
    // It was reached, and speaks HTTP.
    expect(await outcome).toEqual({ status: 'INTERNAL', message: matching(/slow\.example.* does not speak TLS/) })
    for (const filler of fillers) filler.destroy()
  })
})

describe.skipIf(!isRoot)(
  'a name server that does not answer (skipped without root: needs port 53 and a mount namespace)',
  () => {
    let keylime: FakeKeylime
    const silent = createSocket('udp4')
    beforeAll(async () => {
      keylime = await startFakeKeylime({ ak: 'ec-p256' })
      silent.bind(53, NAME_SERVER)
      await once(silent, 'listening')
    })
    afterAll(async () => {
      silent.close()
      await keylime.close()
    })

    it('is told as that, and does not keep the plugin from ending in time [network:dns:silent]', async () => {
      const resolver = keylime.pki.write(
        'resolv.conf',
        `nameserver ${NAME_SERVER}\noptions timeout:20 attempts:3\n`,
        0o644,
      )
      const plugin = await ServerPlugin.start({ before: withFile(resolver, '/etc/resolv.conf') })
      await plugin.configure(
        keylime.serverHcl({ keylime_verifier_host: 'verifier.silent.example', request_timeout: '500ms' }),
      )
      expect(await plugin.attest(keylime.node())).toEqual({
        status: 'UNAVAILABLE',
        message: matching(/within 500 ms: the name verifier\.silent\.example was not resolved yet; a name server/),
      })
      expect(await plugin.process.shutdown()).toMatchObject({ forced: false })
    })
  },
)
