import { assert, nat, property, uniqueArray } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { comparedPcrs, narrowed, policyOf, widened } from '../../../../operator/policy/windows.ts'

const PCRS = uniqueArray(nat(23), { minLength: 1 }).map((pcrs) => new Map(pcrs.map((pcr) => [pcr, `${pcr}a`])))

describe('a policy of proved values', () => {
  it('goes on quoting what the one before had quoted, or the lists of files and boot events would count no more', () => {
    const proved = new Map([
      [4, 'aa'],
      [8, 'bb'],
    ])
    const old = '{"mask": "0xffff", "7": ["cc"]}'
    expect(policyOf(proved, old)).toEqual({ mask: '0xffff', '4': ['aa'], '8': ['bb'] })
    expect(policyOf(proved)).toEqual({ mask: '0x110', '4': ['aa'], '8': ['bb'] })
    expect(policyOf(proved, '{"mask": "0x80000000"}').mask).toBe('0x80000110')
  })

  it('compares exactly these PCRs, and quotes at least them and the old ones', () => {
    assert(
      property(PCRS, nat(0xffffff), (pcrs, old) => {
        const policy = policyOf(pcrs, JSON.stringify({ mask: `0x${old.toString(16)}` }))
        const mask = Number(policy.mask)
        expect(comparedPcrs(JSON.stringify(policy))).toEqual([...pcrs.keys()].toSorted((a, b) => a - b))
        expect(mask & old).toBe(old)
        for (const pcr of pcrs.keys()) expect(mask & (1 << pcr)).not.toBe(0)
      }),
    )
  })

  it('has both values of each PCR in a window, and the new one alone after it', () => {
    assert(
      property(PCRS, (pcrs) => {
        const old = JSON.stringify(policyOf(new Map([...pcrs.keys()].map((pcr) => [pcr, 'old']))))
        const open = widened(old, pcrs)
        const closed = narrowed(JSON.stringify(open), pcrs)
        for (const [pcr, value] of pcrs) expect([open[pcr], closed[pcr]]).toEqual([['old', value], [value]])
        expect(new Set([open.mask, closed.mask])).toEqual(new Set([policyOf(pcrs).mask]))
      }),
    )
  })
})
