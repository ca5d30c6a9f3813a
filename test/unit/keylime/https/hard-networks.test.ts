// Networks that lose, cut or delay: what gets through them, and what is said of those that nothing gets through.
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { phaseInWords } from '../../../../plugins/keylime/https/network-failures.ts'
import { newTestPki } from '../../../fakes/pki.ts'
import { failureOf, originFor, startHttps, startTcp, type TestServer } from '../https-fixture.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

/** What fits into one packet of an Ethernet. */
const PACKET_BYTES = 1_400
let server: TestServer
let caFile: string

beforeAll(async () => {
  const root = await pki.root('Root')
  caFile = pki.write('root.crt', root.pem)
  const leaf = await root.issue('server')
  server = await startHttps({ cert: leaf.pem, key: leaf.keyPem() })
})
afterAll(() => server[Symbol.asyncDispose]())

/** Starts a firewall before the server that does something with a first message of more than one packet. */
function firewall(onLarge: (socket: Socket) => void): Promise<TestServer> {
  return startTcp((socket) => {
    socket.once('data', (hello) => {
      if (hello.length > PACKET_BYTES) {
        onLarge(socket)
        return
      }
      const inner = connect(server.port, '127.0.0.1')
      inner.on('error', () => socket.destroy())
      inner.write(hello)
      socket.pipe(inner).pipe(socket)
    })
  })
}

describe('HttpsOrigin, behind a firewall that takes no first message of more than one packet', () => {
  it('is answered at the second try when the first one is cut [network:hello:compact]', async () => {
    await using between = await firewall((socket) => socket.resetAndDestroy())
    await using origin = originFor(between.port, { files: { caFile } })
    expect((await origin.request('/version')).status).toBe(200)
    expect(between.accepted()).toBe(2)
    for (const socket of between.sockets) socket.destroy()
    expect((await origin.request('/version')).status).toBe(200)
    expect(between.accepted()).toBe(3)
  })

  it('is answered at the second request when the first one is lost, and names size and MTU [network:hello:compact]', async () => {
    await using between = await firewall(() => undefined)
    await using origin = originFor(between.port, { files: { caFile }, timeoutMs: 300 })
    const { code, message } = await failureOf(origin.request('/version'))
    expect({ code, message }).toEqual({
      code: 'KEYLIME_TIMEOUT',
      message: expect.stringMatching(
        /within 300 ms: TCP was open, .*loses full-sized packets.*look at the MTU/,
      ) as string,
    })
    expect((await origin.request('/version')).status).toBe(200)
  })

  it('says that a message that fits was tried, when that is cut too [network:hello:compact]', async () => {
    await using port = await startTcp((socket) => socket.once('data', () => socket.resetAndDestroy()))
    await using origin = originFor(port.port, { files: { caFile } })
    const { code, message } = await failureOf(origin.request('/version'))
    expect({ code, message }).toEqual({
      code: 'KEYLIME_UNREACHABLE',
      message: expect.stringMatching(
        /takes no first message of more than one packet \(one that fits was tried too\)/,
      ) as string,
    })
    expect(port.accepted()).toBe(2)
  })
})

describe('phaseInWords', () => {
  it('tells a name server that does not answer from a firewall [network:dns:silent]', () => {
    const target = {
      role: 'keylime verifier',
      host: 'verifier.example',
      port: 1,
      tls: true,
      expectedName: 'x',
      settings: {},
    }
    expect(phaseInWords(target, 'resolving')).toBe(
      'the name verifier.example was not resolved yet; a name server that does not answer does this: look at /etc/resolv.conf, or name an address',
    )
    expect(phaseInWords(target, 'connecting')).toContain('a firewall that drops packets')
  })
})
