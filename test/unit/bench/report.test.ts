import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { drawBench } from '../../bench/chart.ts'
import { goalsTable } from '../../bench/goals.ts'
import type { LoadResult } from '../../bench/load.ts'
import { type BenchResults, tables } from '../../bench/report.ts'
import type { ServerResult } from '../../bench/server-levels.ts'

const load: LoadResult = {
  inFlight: 32,
  attestations: 100,
  failures: {},
  seconds: 1,
  perSecond: 100,
  p50Ms: 1,
  p90Ms: 2,
  p99Ms: 3,
  maxMs: 4,
  cpuMs: 0.5,
  rssBeforeMb: 70,
  rssAfterMb: 110,
}

function server(side: 'ours' | 'go', round: number, perSecond: number): ServerResult {
  const counts = { verifierRequests: side === 'ours' ? 1 : 2, readRequests: 1, registrarRequests: 0 }
  return { ...load, ...counts, side, round, perSecond, ak: 'rsa-2048', isFirstSight: false }
}

const nothing: BenchResults = {
  machine: { cpu: 'some <CPU>', cores: 2, memoryGb: 8, node: 'v26', forms: { ours: 'executables', go: 'Go pair' } },
  life: [],
  cold: [],
  server: [],
  agent: [],
  spire: [],
  storm: [],
  soak: [],
  growth: [],
}

const some: BenchResults = {
  ...nothing,
  server: [server('ours', 0, 800), server('go', 0, 200), server('go', 1, 100), server('ours', 1, 500)],
}

describe('tables', () => {
  it('names the machine even when nothing was measured', () => {
    expect(tables(nothing)).toBe('some <CPU>, 2 cores, 8 GB, Node v26; ours: executables; go: Go pair.\n')
  })

  it('shows median, minimum and maximum of the rounds, one row a side', () => {
    const rows = tables(some)
      .split('\n')
      .filter((line) => line.startsWith('| rsa-2048'))
    expect(rows).toHaveLength(2)
    expect(rows[0]).toMatch(/^\| rsa-2048, 32 in flight \| ours \| 650 \(500-800\) \|/)
    expect(rows[1]).toMatch(/^\| rsa-2048, 32 in flight \| go \| 150 \(100-200\) \|/)
  })
})

describe('goalsTable', () => {
  it('divides by the Go plugin within each round, and says whether the goal is met', () => {
    expect(goalsTable(some)).toContain(
      'attestations/s at 32 in flight, against Go | at least 4.00 x | 4.50 (4.00-5.00) x | yes |',
    )
    expect(goalsTable(some)).toContain(
      'CPU per attestation, against Go | at most 0.25 x | 1.00 x | no: [where the time goes](#where-the-time-goes) |',
    )
  })

  it('leaves out what was not measured', () => {
    expect(goalsTable(nothing)).toBe('')
    expect(goalsTable({ ...some, server: some.server.filter(({ side }) => side === 'ours') })).not.toContain(
      'against Go',
    )
  })
})

describe('rows that are not met', () => {
  it('point to a heading of docs/scaling.md, from whichever page [scale:goals:explained]', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/scaling.md'), 'utf8')
    const bad = [server('ours', 0, 100), server('go', 0, 200)]
    const life = { handshakeMs: 500, firstAnswerMs: 1, exitMs: 1, idleRssMb: 500, idlePssMb: 1, idleAnonMb: 1 }
    const results: BenchResults = {
      ...nothing,
      machine: { ...nothing.machine, executableMb: 500 },
      server: bad,
      cold: bad.map((one) => ({ ...one, p99Ms: one.side === 'ours' ? 9 : 1 })),
      life: [{ ...life, side: 'ours' }],
      storm: (['known, all at once', 'never seen, all at once'] as const).flatMap((phase) =>
        bad.map((one) => ({ ...one, phase, nodes: 100 })),
      ),
    }
    const links = [...goalsTable(results, 'page.md').matchAll(/no: \[([^\]]+)\]\(page\.md#([a-z0-9-]+)\)/g)]
    expect(links.length).toBeGreaterThan(7)
    for (const [, name = ''] of links) expect(page.toLowerCase()).toContain(`## ${name}\n`)
  })
})

describe('drawBench', () => {
  it('draws one panel for each measure, and none for what was not measured', () => {
    expect(drawBench(nothing)).not.toContain('<g ')
    const picture = drawBench(some)
    expect(picture.match(/<g /g)).toHaveLength(3)
    expect(picture).toContain('>650</text>')
    expect(picture).not.toMatch(/NaN|undefined|Infinity/)
  })
})
