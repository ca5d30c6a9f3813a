import { once } from 'node:events'
import { connect } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { startHalfHandshake } from './half-handshake.ts'
import { newTestPki } from './pki.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

describe('startHalfHandshake', () => {
  it('shows a client its chain and hangs up', async () => {
    const root = await pki.root('Root')
    const leaf = await root.issue('server')
    await using port = await startHalfHandshake()
    port.show([leaf.pem, root.x509.raw])
    const socket = connect({ host: '127.0.0.1', port: port.port, ca: root.pem })
    let seen: string[] = []
    socket.prependOnceListener('end', () => {
      const shown = socket.getPeerX509Certificate()
      seen = [shown?.subject ?? 'none', shown?.issuerCertificate?.subject ?? 'none']
    })
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error.message).toContain('before secure TLS connection was established')
    expect(seen).toEqual(['CN=server', 'CN=Root'])
    expect(port.shown()).toBe(1)
  })
})
