import { isIP } from 'node:net'
import { assert, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { callerIp } from '../../../server-attestor/identity/caller.ts'

const saying = (ip: string | undefined): string | undefined => callerIp({ metadata: { get: () => ip } })

describe('callerIp', () => {
  it.each([
    ['10.0.0.7', '10.0.0.7'],
    ['10.0.0.7:41822', '10.0.0.7'],
    ['2001:db8::7', '2001:db8::7'],
    ['[2001:db8::7]:41822', '2001:db8::7'],
    [undefined, undefined],
    ['', undefined],
    ['node-1.example.org', undefined],
    ['10.0.0.7, 10.0.0.8', undefined],
    ['10.0.0.7\n{"@level":"error"}', undefined],
    [`fe80::1%${'x'.repeat(80)}`, undefined],
  ])('reads %j as %j', (said, expected) => {
    expect(saying(said)).toBe(expected)
  })

  it('gives an address or nothing, whatever is said', () => {
    assert(
      property(string(), (said) => {
        const address = saying(said)
        expect(address === undefined || isIP(address) !== 0).toBe(true)
      }),
    )
  })
})
