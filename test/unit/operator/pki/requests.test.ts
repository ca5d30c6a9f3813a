import { createPublicKey, X509Certificate } from 'node:crypto'
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509'
import { assert, ipV6, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { integer, oid, time } from '../../../../operator/pki/der.ts'
import { newKey, pkcs8, signerOf } from '../../../../operator/pki/keys.ts'
import { addressBytes } from '../../../../operator/pki/names.ts'
import { newRequest, selfSigned } from '../../../../operator/pki/requests.ts'

const keyOf = async (type: 'ec' | 'rsa') => {
  const key = await newKey(type)
  return { key, signer: signerOf(key, createPublicKey(key)) }
}

describe('a certificate request', () => {
  it.each(['ec', 'rsa'] as const)('of an %s key names what was asked for and proves the key', async (type) => {
    const { key, signer } = await keyOf(type)
    const names = {
      commonName: 'auth.example.org',
      dnsNames: ['auth.example.org', 'localhost'],
      ipAddresses: ['10.10.2.70', '2001:db8::17'],
      uris: ['spiffe://example.org/host/auth'],
    }
    const request = new Pkcs10CertificateRequest(await newRequest(names, signer))
    expect(request.subject).toBe('CN=auth.example.org')
    expect(await request.verify()).toBe(true)
    const found = request.extensions.find((one) => one instanceof SubjectAlternativeNameExtension)
    expect(found?.names.toJSON()).toEqual([
      { type: 'dns', value: 'auth.example.org' },
      { type: 'dns', value: 'localhost' },
      { type: 'url', value: 'spiffe://example.org/host/auth' },
      { type: 'ip', value: '10.10.2.70' },
      { type: 'ip', value: '2001:db8::17' },
    ])
    expect(pkcs8(key)).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
  })

  it('without other names has no extension', async () => {
    const { signer } = await keyOf('ec')
    const request = new Pkcs10CertificateRequest(await newRequest({ commonName: 'a' }, signer))
    expect([request.subject, request.extensions.length, await request.verify()]).toEqual(['CN=a', 0, true])
  })
})

describe('a self-signed certificate', () => {
  it('is for clients only, is no CA, and is signed by its own key', async () => {
    const { key, signer } = await keyOf('ec')
    const [notBefore, notAfter] = [new Date('2026-11-28T00:00:00Z'), new Date('2056-11-28T00:00:00Z')]
    const pem = await selfSigned({ commonName: 'plugin.auth', use: 'client', notBefore, notAfter }, signer)
    const certificate = new X509Certificate(pem)
    expect(certificate.subject).toBe('CN=plugin.auth')
    expect(certificate.issuer).toBe('CN=plugin.auth')
    expect(certificate.ca).toBe(false)
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect([certificate.validFromDate, certificate.validToDate]).toEqual([notBefore, notAfter])
    expect(certificate.verify(createPublicKey(key))).toBe(true)
    expect(certificate.checkPrivateKey(key)).toBe(true)
  })

  it('may serve under names', async () => {
    const { signer } = await keyOf('rsa')
    const [notBefore, notAfter] = [new Date('2026-01-01T00:00:00Z'), new Date('2027-01-01T00:00:00Z')]
    const wish = { commonName: 'a', dnsNames: ['a.example.org'], use: 'server', notBefore, notAfter } as const
    const certificate = new X509Certificate(await selfSigned(wish, signer))
    expect(certificate.subjectAltName).toBe('DNS:a.example.org')
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
  })
})

describe('DER', () => {
  it('writes integers in the least bytes, never negative', () => {
    expect(integer(Buffer.from([0, 0])).toString('hex')).toBe('020100')
    expect(integer(Buffer.from([0, 1])).toString('hex')).toBe('020101')
    expect(integer(Buffer.from([0x80])).toString('hex')).toBe('02020080')
  })

  it('writes arcs of several bytes', () => {
    expect(oid('1.2.840.113549').toString('hex')).toBe('06062a864886f70d')
  })

  it('writes years from 2050 with four digits', () => {
    expect(time(new Date('2049-12-31T23:59:59Z')).toString('latin1').slice(2)).toBe('491231235959Z')
    expect(time(new Date('2050-01-01T00:00:00Z')).toString('latin1').slice(2)).toBe('20500101000000Z')
  })

  it('writes every address as the bytes it stands for', () => {
    expect(addressBytes('::ffff:10.1.2.3').toString('hex')).toBe('00000000000000000000ffff0a010203')
    expect(() => addressBytes('fe80::1%eth0')).toThrow('"fe80::1%eth0" is not an IP address')
    expect(() => addressBytes('auth')).toThrow('"auth" is not an IP address')
    assert(
      property(ipV6(), (text) => {
        const hex = addressBytes(text).toString('hex')
        const again = hex.match(/.{4}/g)?.join(':') ?? ''
        expect(addressBytes(again).toString('hex')).toBe(hex)
        expect(new URL(`http://[${text}]/`).hostname).toBe(new URL(`http://[${again}]/`).hostname)
      }),
    )
  })
})
