// What was measured and published is held against what was promised; nothing is measured here.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { percentile } from '../../bench/statistics.ts'

const BENCH = join(resolve(import.meta.dirname, '../../..'), 'docs/bench')

const TIMES = v.pipe(v.array(v.number()), v.minLength(20))
const CUT_OFF = v.object({
  scale: v.object({
    hosts: v.literal(1_000),
    singleMs: TIMES,
    burstMs: v.pipe(TIMES, v.length(50)),
    endToEndMs: TIMES,
    rssMb: v.number(),
    pollPercent: v.number(),
  }),
  tower: v.object({
    rounds: v.pipe(
      v.array(v.object({ issuanceMs: v.number(), workloadMs: v.number(), acceptanceMs: v.number() })),
      v.minLength(30),
    ),
    start: v.object({ helpMs: v.pipe(TIMES, v.length(50)), completeMs: TIMES, statusMs: TIMES }),
  }),
})
const HEALTHY = v.object({
  minutes: v.pipe(v.number(), v.minValue(30)),
  agentTtlSeconds: v.literal(60),
  decisions: v.number(),
  findings: v.array(v.string()),
  statusLooks: v.pipe(v.number(), v.minValue(30)),
  hosts: v.array(v.object({ name: v.string(), agentSvids: v.number(), workloadSvids: v.number(), gaps: v.number() })),
  faults: v.array(v.string()),
})

function published<S extends v.GenericSchema>(name: string, schema: S): v.InferOutput<S> {
  return v.parse(schema, JSON.parse(readFileSync(join(BENCH, name), 'utf8')))
}

const p99 = (values: readonly number[]): number => percentile(values, 99)

describe('what is published', () => {
  it('of a thousand hosts meets the goals: noticed to banned, 50 at once, from the PCR on, memory, load [O26]', () => {
    const { scale } = published('cut-off.json', CUT_OFF)
    expect(p99(scale.singleMs)).toBeLessThanOrEqual(500)
    expect(Math.max(...scale.burstMs)).toBeLessThanOrEqual(1_000)
    expect(p99(scale.endToEndMs)).toBeLessThanOrEqual(5_000)
    expect(scale.rssMb).toBeLessThanOrEqual(200)
    expect(scale.pollPercent).toBeLessThanOrEqual(10)
  })

  it('of the start meets the goals: help, completion, status of three hosts [O24]', () => {
    const { start } = published('cut-off.json', CUT_OFF).tower
    expect(p99(start.helpMs)).toBeLessThanOrEqual(100)
    expect(p99(start.completeMs)).toBeLessThanOrEqual(100)
    expect(percentile(start.statusMs, 50)).toBeLessThanOrEqual(500)
  })

  it('of half an hour of health has no gap in any SVID, no decision, no finding, flat memory [T58]', () => {
    const { hosts, minutes, decisions, findings, faults } = published('healthy.json', HEALTHY)
    expect({ decisions, findings, faults }).toEqual({ decisions: 0, findings: [], faults: [] })
    expect(hosts.map(({ name, gaps }) => [name, gaps])).toEqual([
      ['spire', 0],
      ['auth', 0],
      ['ca', 0],
    ])
    for (const { agentSvids, workloadSvids } of hosts) {
      expect(agentSvids).toBeGreaterThanOrEqual(minutes)
      expect(workloadSvids).toBeGreaterThanOrEqual(minutes)
    }
  })

  it('is written out on the pages beside the numbers', () => {
    const { tower } = published('cut-off.json', CUT_OFF)
    const page = readFileSync(join(BENCH, 'cut-off.md'), 'utf8')
    const worst = Math.round(Math.max(...tower.rounds.map(({ issuanceMs }) => issuanceMs)))
    expect(page).toMatch(new RegExp(`^\\| issuance refused \\| ${tower.rounds.length} \\|.*\\| ${worst} \\|$`, 'm'))
    expect(readFileSync(join(BENCH, 'healthy.md'), 'utf8')).toContain('Faults: none')
  })
})
