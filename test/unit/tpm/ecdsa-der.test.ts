import { sign, verify } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ecdsaDer } from '../../../plugins/tpm/ecdsa-der.ts'
import { newTestKey } from '../../fakes/pki-keys.ts'

describe('ecdsaDer', () => {
  it.each(['ec-p256', 'ec-p384', 'ec-p521'] as const)('is what OpenSSL reads, for %s', (kind) => {
    const { privateKey, publicKey } = newTestKey(kind)
    for (let round = 0; round < 50; round++) {
      const message = Buffer.from(`message ${round}`)
      const raw = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })
      const half = raw.length / 2
      expect(verify('sha256', message, publicKey, ecdsaDer(raw.subarray(0, half), raw.subarray(half)))).toBe(true)
    }
  })

  it('writes numbers at their least length, never negative', () => {
    expect(ecdsaDer(Buffer.from('0001', 'hex'), Buffer.from('80', 'hex')).toString('hex')).toBe(
      '3007020101020200 80'.replace(' ', ''),
    )
    expect(ecdsaDer(Buffer.alloc(3), Buffer.alloc(0)).toString('hex')).toBe('3006020100020100')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 66 }), fc.uint8Array({ maxLength: 66 }), (r, s) => {
        const der = ecdsaDer(r, s)
        const length = der[1] === 0x81 ? (der[2] ?? 0) + 3 : (der[1] ?? 0) + 2
        expect(der).toHaveLength(length)
      }),
    )
  })
})
