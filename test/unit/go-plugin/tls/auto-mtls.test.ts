import { X509Certificate } from 'node:crypto'
import * as fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { newOwnCertificate, newPluginTls } from '../../../../plugins/go-plugin/tls/auto-mtls.ts'
import {
  bitString,
  certificateTime,
  context,
  objectIdentifier,
  octetString,
  sequence,
  unsignedInteger,
} from '../../../../plugins/go-plugin/tls/der.ts'
import { hasOpenssl, newOpensslPki } from '../../../fakes/openssl-pki.ts'
import { newTestPki } from '../../../fakes/pki.ts'

describe('newOwnCertificate', () => {
  const now = new Date('2026-11-24T18:00:00.500Z')
  const own = newOwnCertificate(now)
  const cert = new X509Certificate(own.cert)

  it('shows what a Go plugin shows: P-521, localhost, both uses, its own authority [C14]', () => {
    expect(cert.subject).toBe('O=HashiCorp\nCN=localhost')
    expect(cert.issuer).toBe(cert.subject)
    expect(cert.subjectAltName).toBe('DNS:localhost')
    expect(cert.ca).toBe(true)
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'])
    expect(cert.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp521r1' })
    expect(cert.verify(cert.publicKey)).toBe(true)
    expect(cert.checkHost('localhost')).toBe('localhost')
  })

  it('is valid from half a minute ago for thirty years', () => {
    expect(cert.validFromDate).toEqual(new Date('2026-11-24T17:59:30Z'))
    expect(cert.validToDate).toEqual(new Date('2056-11-24T06:00:00Z'))
  })

  it('belongs to its key, and to no other', () => {
    expect(cert.raw).toEqual(own.der)
    expect(own.key.toString()).toContain('BEGIN PRIVATE KEY')
    expect(newOwnCertificate().key).not.toEqual(own.key)
    expect(new X509Certificate(newOwnCertificate().cert).serialNumber).not.toBe(cert.serialNumber)
  })
})

describe('newPluginTls', () => {
  it('trusts the certificate of the host and encodes its own without padding [C14]', () => {
    const host = newOwnCertificate()
    const tls = newPluginTls(host.cert.toString())
    expect(tls.hostCert.toString()).toBe(host.cert.toString())
    expect(tls.encodedCert).toMatch(/^[A-Za-z0-9+/]+$/)
    expect(new X509Certificate(Buffer.from(tls.encodedCert, 'base64')).toString()).toBe(tls.cert.toString())
  })

  it.each(['garbage', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])('refuses %j', (pem) => {
    expect(() => newPluginTls(pem)).toThrow(new Error('PLUGIN_CLIENT_CERT does not hold a PEM certificate'))
  })
})

describe.skipIf(!hasOpenssl)('newPluginTls, of a host with an odd key (skipped without the openssl program)', () => {
  const pki = newTestPki()
  afterAll(() => pki.remove())

  it('refuses curves that no host uses, before anything is served [tls:stranger:survived]', () => {
    const maker = newOpensslPki(pki)
    for (const curve of ['brainpoolP256r1', 'secp256k1', 'sect283k1']) {
      const { pem } = maker.root('localhost', { curve })
      expect(() => newPluginTls(pem)).toThrow(
        new Error(`PLUGIN_CLIENT_CERT has a key on ${curve}, expected P-256, P-384 or P-521`),
      )
    }
    for (const key of [{ curve: 'secp384r1' }, { algorithm: 'ED25519' }, { algorithm: 'RSA' }]) {
      const { pem } = maker.root('localhost', key)
      expect(newPluginTls(pem).hostCert.toString()).toBe(pem)
    }
  })
})

describe('DER', () => {
  it.each([
    [unsignedInteger(Buffer.from([])), '020100'],
    [unsignedInteger(Buffer.from([0, 0, 0x7f])), '02017f'],
    [unsignedInteger(Buffer.from([0x80])), '02020080'],
    [objectIdentifier('1.2.840.10045.4.3.4'), '06082a8648ce3d040304'],
    [objectIdentifier('2.5.29.15'), '0603551d0f'],
    [bitString(Buffer.from([0xac]), 2), '030202ac'],
    [context(0, unsignedInteger(Buffer.from([2]))), 'a003020102'],
    [sequence(), '3000'],
    [certificateTime(new Date('2049-12-31T23:59:59Z')), `170d${Buffer.from('491231235959Z').toString('hex')}`],
    [certificateTime(new Date('2050-01-01T00:00:00Z')), `180f${Buffer.from('20500101000000Z').toString('hex')}`],
  ])('encodes %o as %s', (bytes, hex) => {
    expect(bytes.toString('hex')).toBe(hex)
  })

  it('writes lengths in as few bytes as possible', () => {
    fc.assert(
      fc.property(fc.nat(70_000), (size) => {
        const header = octetString(Buffer.alloc(size)).subarray(0, -size || undefined)
        const long = size < 0x100 ? '81' : size < 0x10000 ? '82' : '83'
        const digits = size.toString(16)
        const expected =
          size < 0x80 ? digits.padStart(2, '0') : long + digits.padStart(digits.length + (digits.length % 2), '0')
        expect(header.toString('hex')).toBe(`04${expected}`)
      }),
    )
  })
})
