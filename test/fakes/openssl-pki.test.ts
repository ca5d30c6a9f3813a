import { X509Certificate } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { hasOpenssl, newOpensslPki, opensslCurves } from './openssl-pki.ts'
import { newTestPki } from './pki.ts'

const pki = newTestPki()
afterAll(() => pki.remove())

describe.skipIf(!hasOpenssl)('newOpensslPki (skipped without the openssl program)', () => {
  it('issues on curves of every family, in every form', () => {
    const maker = newOpensslPki(pki)
    const forms = [{}, { isExplicit: true }, { isCompressed: true }, { isExplicit: true, isCompressed: true }]
    const sizes = forms.map((form) => {
      const root = maker.root('Root', { curve: 'brainpoolP256r1', ...form })
      const leaf = maker.issue('server', { curve: 'sect283k1', ...form }, root)
      const [above, below] = [new X509Certificate(root.pem), new X509Certificate(leaf.pem)]
      expect({ ca: above.ca, signed: below.verify(above.publicKey), names: below.subjectAltName }).toEqual({
        ca: true,
        signed: true,
        names: 'DNS:localhost, IP Address:127.0.0.1',
      })
      return below.raw.length
    })
    expect(new Set(sizes.map((size) => Math.round(size / 12))).size).toBe(forms.length)
  })

  it('signs the key of one authority with that of another of the same name', () => {
    const maker = newOpensslPki(pki)
    const [old, fresh] = [1, 2].map(() => maker.root('Rolling', { algorithm: 'ED25519' }))
    if (old === undefined || fresh === undefined) throw new Error('unreachable')
    const crossed = new X509Certificate(maker.crossSign(old, fresh).pem)
    const [before, after] = [new X509Certificate(old.pem), new X509Certificate(fresh.pem)]
    expect(crossed.subject).toBe(crossed.issuer)
    expect(crossed.publicKey.equals(before.publicKey)).toBe(true)
    expect([crossed.verify(after.publicKey), crossed.verify(before.publicKey)]).toEqual([true, false])
  })

  it('lists the curves, those of no standard body too', () => {
    expect(opensslCurves()).toEqual(expect.arrayContaining(['prime256v1', 'secp256k1', 'brainpoolP512t1', 'SM2']))
  })
})
