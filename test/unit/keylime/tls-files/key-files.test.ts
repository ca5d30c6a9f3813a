import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { keyInWords, readPrivateKey } from '../../../../plugins/keylime/tls-files/key-files.ts'
import { type KeyFormat, type KeyKind, keyPem, newTestKey } from '../../../fakes/pki-keys.ts'

describe('readPrivateKey', () => {
  it.each<[KeyKind, KeyFormat, string]>([
    ['ec-p256', 'pkcs8', 'EC prime256v1'],
    ['ec-p256', 'sec1', 'EC prime256v1'],
    ['ec-p384', 'sec1', 'EC secp384r1'],
    ['rsa-2048', 'pkcs8', 'RSA 2048'],
    ['rsa-2048', 'pkcs1', 'RSA 2048'],
  ])('reads a %s key as %s [T23] [P17]', (kind, format, words) => {
    const key = newTestKey(kind)
    const read = readPrivateKey(keyPem(key, format))
    if ('problem' in read) throw new Error(read.problem)
    expect(read.key.equals(key.privateKey)).toBe(true)
    expect(keyInWords(read.key)).toBe(words)
  })

  it('finds the key behind the EC PARAMETERS block that openssl writes before it [P17]', () => {
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    expect(readPrivateKey(parameters + keyPem(newTestKey('ec-p256'), 'sec1'))).toHaveProperty('key')
  })

  it.each<[KeyKind, KeyFormat]>([
    ['ec-p256', 'encrypted'],
    ['rsa-2048', 'encrypted'],
    ['rsa-2048', 'encrypted-legacy'],
  ])('says that a %s key is encrypted (%s), and how to write it plain [T23]', (kind, format) => {
    expect(readPrivateKey(keyPem(newTestKey(kind), format))).toEqual({
      problem:
        'is encrypted, and there is nobody to type its passphrase; write it without one: openssl pkey -in ENCRYPTED -out PLAIN',
    })
  })

  it.each([
    ['OPENSSH PRIVATE KEY', /^is a key in the form of OpenSSH, .*ssh-keygen -p/],
    ['TSS2 PRIVATE KEY', /^is a key that only a TPM can use/],
    ['TSS2 KEY BLOB', /^is a key that only a TPM can use/],
  ])('names the other kind of a %s [files:wrong:named]', (label, problem) => {
    const text = `-----BEGIN ${label}-----\nQUJD\n-----END ${label}-----\n`
    expect(readPrivateKey(text)).toEqual({ problem: expect.stringMatching(problem) as string })
  })

  it('says that there is a public key where the private one should be', () => {
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' })
    expect(readPrivateKey(pem)).toEqual({ problem: 'holds no private key, only PUBLIC KEY' })
  })

  it('says nothing of the key when it is damaged', () => {
    const pem = keyPem(newTestKey('ec-p256'))
    const lines = pem.split('\n')
    const damaged = [lines[0], lines[1], '-----END PRIVATE KEY-----', ''].join('\n')
    expect(readPrivateKey(damaged)).toEqual({
      problem: 'holds a PRIVATE KEY that cannot be parsed: half written or damaged',
    })
  })
})
