// What anybody can show at a port that the operator's tool looks at.
import { afterAll, describe, expect, it } from 'vitest'
import { presentedCertificate } from '../../../operator/sources/certificates.ts'
import { askJson } from '../../../operator/sources/json-https.ts'
import { handshake } from '../../../operator/tls/handshake.ts'
import { hasOpenssl, newOpensslPki } from '../../fakes/openssl-pki.ts'
import { newTestPki } from '../../fakes/pki.ts'
import { startHttps } from '../keylime/https-fixture.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

const maker = newOpensslPki(pki)
const P256 = { curve: 'prime256v1' }

describe.skipIf(!hasOpenssl)('towerkeep (skipped without the openssl program)', () => {
  it.each(['brainpoolP256r1', 'secp256k1'])(
    'looks at a CA on %s, trusted or not [tls:stranger:survived]',
    async (curve) => {
      const ca = maker.root(`CA on ${curve}`, { curve })
      const leaf = maker.issue('service', P256, ca)
      await using server = await startHttps({ cert: leaf.pem + ca.pem, key: leaf.keyPem })
      const place = { name: 'openbao', address: `https://127.0.0.1:${server.port}`, timeoutMs: 5_000 }

      const seen = await handshake({ host: '127.0.0.1', port: server.port, timeoutMs: 5_000 })
      expect(seen.presented.map(({ subject }) => subject)).toEqual(['CN=service', `CN=CA on ${curve}`])
      const presented = await presentedCertificate(
        { host: '127.0.0.1', port: server.port },
        { timeoutMs: 5_000, now: Date.now() },
      )
      expect(presented.certificate.subject).toBe('CN=service')

      const trusted = { ...place, caFile: ca.certFile }
      expect(await askJson(trusted, { method: 'GET', path: '/v1/sys/health' })).toEqual({ status: 200, body: {} })
      const stranger = { ...place, caFile: maker.root('Another CA', P256).certFile }
      await expect(askJson(stranger, { method: 'GET', path: '/' })).rejects.toMatchObject({
        code: 'TK-PKI-AWAY',
        message: expect.stringMatching(
          /^openbao https:\/\/127\.0\.0\.1:\d+: its certificate comes from no CA of /,
        ) as string,
      })
    },
  )

  it('asks a CA in the middle of a rollover [tls:rollover:ends]', async () => {
    const [old, fresh] = [maker.root('Rolling CA', P256), maker.root('Rolling CA', P256)]
    const crossed = maker.crossSign(old, fresh).pem + maker.crossSign(fresh, old).pem
    const leaf = maker.issue('service', P256, fresh)
    await using server = await startHttps({ cert: leaf.pem + crossed, key: leaf.keyPem })
    const caFile = pki.write('rolling.crt', crossed + old.pem + fresh.pem)
    const place = { name: 'step-ca', address: `https://127.0.0.1:${server.port}`, caFile, timeoutMs: 5_000 }
    expect(await askJson(place, { method: 'GET', path: '/health' })).toEqual({ status: 200, body: {} })
  })

  it('takes no service for one of another name [tls:stranger:survived]', async () => {
    const ca = maker.root('CA', P256)
    const leaf = maker.issue('service', P256, ca, { extensions: ['subjectAltName=DNS:elsewhere.example'] })
    await using server = await startHttps({ cert: leaf.pem, key: leaf.keyPem })
    const place = {
      name: 'step-ca',
      address: `https://127.0.0.1:${server.port}`,
      caFile: ca.certFile,
      timeoutMs: 5_000,
    }
    await expect(askJson(place, { method: 'GET', path: '/' })).rejects.toMatchObject({
      message: expect.stringContaining('the certificate is for another name') as string,
    })
  })
})
