// What was measured and published is held against what was promised; nothing is measured here.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'

const BENCH = join(resolve(import.meta.dirname, '../../..'), 'docs/bench')

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

describe('what is published', () => {
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

  it('is written out on its page', () => {
    expect(readFileSync(join(BENCH, 'healthy.md'), 'utf8')).toContain('Faults: none')
  })
})
