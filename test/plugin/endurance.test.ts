import { describe, expect, it } from 'vitest'
import { endure, faultsOf } from '../bench/endurance.ts'

describe('continuous attestation', () => {
  it('goes on at 20 a second without a failure or a leaked descriptor (`make soak` runs this for 30 minutes) [T49]', async () => {
    const result = await endure({ seconds: 12, rate: 20, nodes: 32 }, () => undefined)
    expect(result.attestations).toBe(240)
    // Memory still settles in the first seconds, so it is judged in the long run only.
    expect(faultsOf(result).filter((fault) => !fault.startsWith('memory'))).toEqual([])
  })
})

const look = (second: number, rssMb: number, descriptors: number) => ({
  second,
  attestations: second,
  rssMb,
  descriptors,
})

describe('faultsOf', () => {
  const fine = [look(0, 60, 20), look(10, 80, 24), look(20, 82, 24), look(30, 83, 25)]

  it('finds nothing in a run that held', () => {
    expect(faultsOf({ attestations: 30, failures: new Map(), looks: fine })).toEqual([])
  })

  it('names failures, growing memory and leaked descriptors', () => {
    const looks = [...fine, look(40, 140, 60)]
    expect(faultsOf({ attestations: 40, failures: new Map([['UNAVAILABLE: no', 2]]), looks })).toEqual([
      '2 attestations failed: UNAVAILABLE: no',
      'memory grew from 80 to 140 MB',
      'descriptors grew from 24 to 60',
    ])
  })
})
