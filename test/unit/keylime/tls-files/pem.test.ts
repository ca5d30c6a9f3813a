import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readPem } from '../../../../plugins/keylime/tls-files/pem.ts'

const block = (label: string, bytes: Uint8Array): string => {
  const base64 = Buffer.from(bytes).toString('base64')
  const lines = base64.match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
const labels = fc.constantFrom('CERTIFICATE', 'PRIVATE KEY', 'EC PRIVATE KEY', 'X509 CRL')
const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 })

describe('readPem', () => {
  it('finds every block in order, with comments, blank lines and CRLF between them', () => {
    const comment = fc.stringMatching(/^[ a-z0-9=:\n]*$/)
    const entry = fc.tuple(labels, bytes, comment)
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 6 }), fc.boolean(), (entries, crlf) => {
        const text = entries.map(([label, content, before]) => `${before}\n${block(label, content)}`).join('')
        const { blocks, problems } = readPem(crlf ? text.replaceAll('\n', '\r\n') : text)
        expect(problems).toEqual([])
        expect(blocks.map(({ label, der }) => [label, der.toString('hex')])).toEqual(
          entries.map(([label, content]) => [label, Buffer.from(content).toString('hex')]),
        )
      }),
    )
  })

  it('reads any text without throwing, and finds a problem where there is no block', () => {
    const noise = fc.array(
      fc.oneof(fc.string(), fc.constantFrom('-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----', '-----', '\n')),
    )
    fc.assert(
      fc.property(noise, (parts) => {
        const { blocks, problems } = readPem(parts.join(''))
        expect(blocks.length + problems.length).toBeGreaterThan(0)
      }),
    )
  })

  it('never calls a block cut anywhere whole', () => {
    fc.assert(
      fc.property(bytes, fc.double({ min: 0, max: 0.999, noNaN: true }), (content, share) => {
        const text = block('CERTIFICATE', content).trimEnd()
        const cut = text.slice(0, Math.floor(text.length * share))
        expect(readPem(cut).blocks).toEqual([])
        expect(readPem(cut).problems).toHaveLength(1)
      }),
    )
  })

  it.each([
    ['', 'is not PEM: there is no BEGIN line'],
    ['hello', 'is not PEM: there is no BEGIN line'],
    [
      '\x30\x82\x01\x0a',
      'is DER, expected PEM; convert it, for example with: openssl x509 -inform der -in FILE -out FILE.pem',
    ],
    ['\n-----BEGIN CERTIFICATE-----\nQUJD\n', 'the CERTIFICATE block that begins in line 2 has no end: half written?'],
    [
      '-----BEGIN CERTIFICATE-----\nQU-D\n-----END CERTIFICATE-----',
      'the CERTIFICATE block in line 1 is not base64: half written or damaged',
    ],
    ['-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----', 'the CERTIFICATE block in line 1 is empty'],
    [
      '-----BEGIN CERTIFICATE-----\\nQUJD\\n-----END CERTIFICATE-----\\n',
      'the CERTIFICATE block in line 1 has its line ends written out as backslash and n: put real ones there, for example with printf %b or jq -r',
    ],
    [
      '{"key": "-----BEGIN PRIVATE KEY-----\\r\\nQUJD\\r\\n-----END PRIVATE KEY-----"}',
      'the PRIVATE KEY block in line 1 has its line ends written out as backslash and n: put real ones there, for example with printf %b or jq -r',
    ],
    [
      ' {"certificate": "MIIB"}',
      'is JSON, expected PEM: take the text of the certificate or key out of it, for example with jq -r',
    ],
  ])('says what is wrong with %j', (text, problem) => {
    expect(readPem(text)).toEqual({ blocks: [], problems: [problem] })
  })

  it('goes on after a block without an end', () => {
    const { blocks, problems } = readPem(
      `-----BEGIN CERTIFICATE-----\nQUJD\n${block('CERTIFICATE', Buffer.from('whole'))}`,
    )
    expect(blocks.map(({ der, line }) => [der.toString(), line])).toEqual([['whole', 3]])
    expect(problems).toEqual(['the CERTIFICATE block that begins in line 1 has no end: half written?'])
  })

  it('names twenty problems of a file of blocks without an end, and reads each part of it once', () => {
    const text = '-----BEGIN CERTIFICATE-----\n'.repeat(140_000)
    const { blocks, problems } = readPem(text)
    expect(blocks).toEqual([])
    expect(problems).toHaveLength(21)
    expect(problems[19]).toBe('the CERTIFICATE block that begins in line 20 has no end: half written?')
    expect(problems[20]).toBe('and more of the kind')
  })
})
