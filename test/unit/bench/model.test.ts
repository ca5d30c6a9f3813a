import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FLEETS, type FleetSettings, needsOf, nodeCost } from '../../bench/model.ts'
import { drawModel } from '../../bench/model-chart.ts'
import { modelTable, needsTable } from '../../bench/model-report.ts'
import type { FleetPass, ModelResult } from '../../bench/model-run.ts'
import type { BenchResults } from '../../bench/report.ts'

const pass: FleetPass = {
  perSecond: 400,
  p99Ms: 100,
  pluginCpuMs: 0.5,
  spireCpuMs: 1.5,
  verifierRequests: 1,
  registrarRequests: 1,
  failed: 0,
}
const fleet = (nodes: number, pluginRssMb: number, changes: Partial<FleetPass> = {}): ModelResult => ({
  nodes,
  first: { ...pass, pluginCpuMs: 2 },
  again: { ...pass, ...changes },
  pluginRssMb,
  spireRssMb: 80,
})
const measured = [fleet(1_000, 120), fleet(5_000, 170, { pluginCpuMs: 0.9 }), fleet(10_000, 300)]
const settings: FleetSettings = { nodes: 36_000, agentTtlS: 3_600, verifiers: 4, registrars: 2, servers: 6 }

describe('nodeCost', () => {
  it('is the median of the fleets, and a straight line through the memory of the outer two', () => {
    expect(nodeCost(measured)).toEqual({
      pluginCpuMs: 0.5,
      spireCpuMs: 1.5,
      verifierRequests: 1,
      registrarRequests: 1,
      pluginBaseMb: 100,
      pluginMbPerNode: 0.02,
    })
  })

  it('needs a fleet', () => {
    expect(() => nodeCost([])).toThrow('no fleet was measured')
  })
})

describe('needsOf', () => {
  it('is load by half of agent_ttl, and its share of every part', () => {
    const needs = needsOf(nodeCost(measured), settings)
    expect(needs.attestationsPerSecond).toBe(20)
    expect(needs.pluginCores).toBeCloseTo(0.01, 9)
    expect(needs.spireCores).toBeCloseTo(0.03, 9)
    expect(needs.verifierShare).toBeCloseTo((20 * 2.6) / 1_000 / 4, 9)
    expect(needs.registrarShare).toBeCloseTo((20 * 1.4) / 1_000 / 2, 9)
    expect(needs.pluginRssMb).toBeCloseTo(220, 9)
  })

  it('remembers no more nodes than a plugin does', () => {
    const [one, ten] = [50_000, 100_000].map((nodes) => needsOf(nodeCost(measured), { ...settings, nodes, servers: 1 }))
    expect(one?.pluginRssMb).toBe(300)
    expect(ten?.pluginRssMb).toBe(300)
  })

  it.each([
    ['verifier', { verifiers: 1 }, 86.4],
    ['registrar', { registrars: 1 }, 50.4],
    ['servers', { servers: 1, registrars: 8 }, 36],
  ] as const)('names the %s as what a storm waits for', (what, changes, seconds) => {
    const needs = needsOf(nodeCost(measured), { ...settings, registrars: 100, ...changes })
    expect(needs.stormBound).toBe(what)
    expect(needs.stormSeconds).toBeCloseTo(seconds, 9)
  })
})

const published = (
  JSON.parse(readFileSync(join(import.meta.dirname, '../../../docs/bench/bench.json'), 'utf8')) as BenchResults
).model

describe('the published fleets', () => {
  it('are of 1,000, 5,000 and 10,000 nodes, and nobody failed', () => {
    expect(published?.map(({ nodes }) => nodes)).toEqual([1_000, 5_000, 10_000])
    expect(published?.every(({ first, again }) => first.failed + again.failed === 0)).toBe(true)
  })

  it('cost what the arithmetic says of them, within 40 percent [scale:model:checked-by-measurement]', () => {
    const cost = nodeCost(published ?? [])
    for (const { nodes, again, pluginRssMb } of published ?? []) {
      const needs = needsOf(cost, { ...settings, nodes, servers: 1 })
      const perSecond = nodes / 1_800
      for (const [computed, found] of [
        [needs.pluginCores, (perSecond * again.pluginCpuMs) / 1_000],
        [needs.spireCores, (perSecond * again.spireCpuMs) / 1_000],
        [needs.pluginRssMb, pluginRssMb],
      ] as const) {
        expect(computed / found).toBeGreaterThan(0.6)
        expect(computed / found).toBeLessThan(1.4)
      }
      // One read, and self-checks that were put off while the whole fleet came for the first time: one a node at most.
      expect(again.verifierRequests).toBeGreaterThanOrEqual(1)
      expect(again.verifierRequests).toBeLessThan(2)
      expect(again.registrarRequests).toBeLessThanOrEqual(1.01)
    }
  })

  it('leave room at 100,000: no service above half of its worker, no server above half of a core', () => {
    const largest = FLEETS.at(-1)
    if (largest === undefined || published === undefined) throw new Error('no fleet')
    const needs = needsOf(nodeCost(published), largest)
    expect(largest.nodes).toBe(100_000)
    expect(Math.max(needs.verifierShare, needs.registrarShare)).toBeLessThan(0.5)
    expect((needs.pluginCores + needs.spireCores) / largest.servers).toBeLessThan(0.5)
    // A bulk read is worth while up to 10,000 nodes at a verifier.
    expect(largest.nodes / largest.verifiers).toBeLessThanOrEqual(10_000)
  })
})

describe('tables and drawing', () => {
  it('show each fleet twice, and what each needs', () => {
    expect(modelTable(measured)).toContain('| 5000 | again | 400 | 100 | 0.90 | 1.50 | 1.00 | 1.00 | 170 | 80 | 0 |')
    expect(needsTable(measured)).toContain('| 100,000 | 10, 20, 4 | 55.6 | 0.3 %, 0.8 % | 0.7 % | 1.9 % | 300 | ')
    expect(needsTable([])).toBe('')
  })

  it('draws four panels, and none of nothing', () => {
    const picture = drawModel(measured)
    expect(picture.match(/<g /g)).toHaveLength(4)
    expect(picture).not.toMatch(/NaN|undefined|Infinity/)
    expect(drawModel([])).not.toContain('<g ')
  })
})
