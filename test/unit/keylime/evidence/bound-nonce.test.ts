import { describe, expect, it } from 'vitest'
import { type Binding, boundNonce } from '../../../../plugins/keylime/evidence/bound-nonce.ts'

const binding: Binding = {
  trustDomain: 'example.org',
  nonce: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
  agentId: 'node-1',
  bank: 'sha256',
  pcrs: [0, 2, 7],
  secret: Buffer.alloc(32, 7),
}

describe('boundNonce', () => {
  it('is one byte of domain and a digest of all parts, each behind its length', () => {
    // printf of each part behind its length in four bytes, through sha256sum.
    expect(boundNonce(binding).toString('hex')).toBe(
      '0176ff268d39bc8d3b3d0d5ccd8d47b0618b5648c9e8db9c7c346c6454c8343aeb',
    )
    expect(boundNonce(binding)).toHaveLength(33)
  })

  it.each<[string, Partial<Binding>]>([
    ['trust domain', { trustDomain: 'example.com' }],
    ['nonce', { nonce: 'B'.repeat(32) }],
    ['agent ID', { agentId: 'node-2' }],
    ['bank', { bank: 'sha384' }],
    ['PCRs', { pcrs: [0, 27] }],
    ['secret', { secret: Buffer.alloc(32, 8) }],
    ['border between parts', { trustDomain: 'example.or', nonce: 'gABCDEFGHIJKLMNOPQRSTUVWXYZ234567' }],
  ])('differs with another %s', (_title, change) => {
    expect(boundNonce({ ...binding, ...change }).equals(boundNonce(binding))).toBe(false)
  })

  it('begins as nothing does that a Keylime agent signs for others', () => {
    expect(boundNonce(binding)[0]).toBe(1)
  })
})
