import { describe, expect, it } from 'vitest'
import { endure } from '../bench/endurance.ts'
import { faultsOf } from '../bench/endurance-result.ts'

describe('continuous attestation', () => {
  it('goes on at 20 a second through new configurations and certificates and a verifier that restarts, without a failure or a leaked descriptor (`make soak` runs this for an hour) [T49]', async () => {
    const periods = { reconfiguration: 2, renewal: 3, restart: 5 }
    const result = await endure({ seconds: 16, rate: 20, nodes: 32, periods }, () => undefined)
    expect(result.attestations).toBe(320)
    expect(result.withTpmEvidence).toBe(80)
    expect(result.changes.reconfigurations).toBeGreaterThan(3)
    expect(result.changes.renewals).toBeGreaterThan(2)
    expect(result.changes.restarts).toBeGreaterThan(1)
    expect(result.cameAgain).toBeGreaterThan(0)
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
    expect(faultsOf({ failures: {}, looks: fine })).toEqual([])
  })

  it('names failures, growing memory and leaked descriptors', () => {
    const looks = [...fine, look(40, 160, 60)]
    expect(faultsOf({ failures: { 'UNAVAILABLE: no': 2 }, looks })).toEqual([
      '2 attestations failed: UNAVAILABLE: no',
      'memory grew from 81 to 122 MB',
      'descriptors grew from 24 to 43',
    ])
  })
})
