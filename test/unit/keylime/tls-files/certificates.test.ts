import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCertificates } from '../../../../plugins/keylime/tls-files/certificates.ts'
import { newTestPki, type TestPki } from '../../../fakes/pki.ts'
import { reissued } from '../../../fakes/reissued.ts'

let pki: TestPki
beforeAll(() => {
  pki = newTestPki()
})
afterAll(() => pki.remove())

describe('readCertificates', () => {
  it('refuses a certificate with trust marks, which may reject it, and says how to write it without [files:wrong:named]', async () => {
    const ca = await pki.root('Marked')
    const marked = ca.pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')
    expect(readCertificates(ca.pem + marked).problems).toEqual([
      expect.stringMatching(
        /^the block in line \d+ is a TRUSTED CERTIFICATE with marks .* leave out what is rejected, .*openssl x509 -in FILE -out FILE.pem$/,
      ) as string,
    ])
  })

  it('names a certificate whose dates cannot be read, whichever of the two [claims:ek:unreadable-dates]', async () => {
    const ca = await pki.root('Keylime Certificate Authority')
    for (const dates of [
      ['261301000000Z', '491231000000Z'],
      ['200101000000Z', '260230000000Z'],
    ] as const) {
      const der = reissued(Buffer.from(ca.x509.raw), ca, { dates })
      const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
      expect(readCertificates(ca.pem + pem)).toEqual({
        certificates: [expect.objectContaining({ subject: 'CN=Keylime Certificate Authority' }) as unknown],
        problems: [expect.stringMatching(/^the certificate in line \d+ has dates that cannot be read$/) as string],
        warnings: [],
      })
    }
  })
})
