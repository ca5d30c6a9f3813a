import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RegistrarRecord } from '../../../../plugins/keylime/api/v2/registrar-record.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { KeptRecords } from '../../../../server-attestor/reading/kept-records.ts'

function record(name: string, bytes: number): RegistrarRecord {
  return { agentId: parseAgentId(name), akTpm: Buffer.alloc(bytes), ekTpm: Buffer.alloc(0) }
}

describe('KeptRecords', () => {
  it('is bounded by bytes: the node admitted longest ago leaves first [claims:fate:strangers]', () => {
    const kept = new KeptRecords(1_000)
    for (const name of ['a', 'b', 'c']) kept.keep(record(name, 400), 0)
    expect(['a', 'b', 'c'].map((name) => kept.get(parseAgentId(name), 1) !== undefined)).toEqual([false, true, true])
    kept.keep(record('b', 400), 1)
    kept.keep(record('d', 400), 1)
    expect(['b', 'c', 'd'].map((name) => kept.get(parseAgentId(name), 1) !== undefined)).toEqual([true, false, true])
    expect(kept.bytes).toBe(800)
  })

  it('counts its bytes right, whatever is kept and dropped', () => {
    const step = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.nat(600), fc.nat(9_000_000))
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const kept = new KeptRecords(1_000)
        const sizes = new Map<string, number>()
        let now = 0
        for (const [name, bytes, later] of steps) {
          now += later
          kept.keep(record(name, bytes), now)
          sizes.set(name, bytes)
          const held = [...sizes].filter(([one]) => kept.get(parseAgentId(one), now) !== undefined)
          expect(kept.bytes).toBe(held.reduce((sum, [, size]) => sum + size, 0))
          expect(kept.bytes).toBeLessThanOrEqual(1_000)
          expect(kept.size).toBe(held.length)
        }
      }),
    )
  })
})
