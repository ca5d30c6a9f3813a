import { describe, expect, it } from 'vitest'
import { isQuotableNonce, newNonce } from '../../../../plugins/keylime/evidence/nonce.ts'

describe('newNonce', () => {
  it('makes 32 characters that every agent and every TPM takes, never twice the same', () => {
    const nonces = Array.from({ length: 2000 }, newNonce)
    expect(nonces.every((nonce) => /^[A-Z2-7]{32}$/.test(nonce))).toBe(true)
    expect(new Set(nonces).size).toBe(nonces.length)
  })

  it('uses the whole alphabet evenly', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 2000; i++) for (const char of newNonce()) counts.set(char, (counts.get(char) ?? 0) + 1)
    expect(counts.size).toBe(32)
    // 2,000 are expected of each; 300 is more than six standard deviations.
    expect([...counts.values()].every((count) => Math.abs(count - 2000) < 300)).toBe(true)
  })
})

describe('isQuotableNonce', () => {
  it('takes what a Keylime agent quotes over, in ASCII', () => {
    expect(['A', 'a0', 'x'.repeat(64), newNonce()].every(isQuotableNonce)).toBe(true)
    expect(['', 'x'.repeat(65), 'a b', 'a-b', 'a&mask=0x1', 'ä', 'a\n'].filter(isQuotableNonce)).toEqual([])
  })
})
