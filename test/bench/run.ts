/**
 * Measures the plugins: `node test/bench/run.ts [--quick] [--only life,cold,server,agent,spire,storm,soak,growth]
 * [--rounds N] [--levels 1,32] [--dist FOLDER] [--out FOLDER]`.
 *
 * With `GO_PLUGIN_DIR` the Go pair runs beside ours in the same rounds, and the ratios are printed. Writes
 * `bench.md`, `bench.json` and `bench.svg` into the folder; default `.tmp/bench`.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { agentLevels } from './agent-half.ts'
import { drawBench } from './chart.ts'
import { coldStarts } from './cold-start.ts'
import { findContestants } from './contestants.ts'
import { goalsTable } from './goals.ts'
import { growth } from './growth.ts'
import { lives } from './lifecycle.ts'
import { throughSpire } from './real-spire.ts'
import { type BenchResults, tables } from './report.ts'
import { FULL, QUICK, type Scale } from './scale.ts'
import { serverLevels } from './server-levels.ts'
import { soak } from './soak.ts'
import { storms } from './storm.ts'

const PARTS = ['life', 'cold', 'server', 'agent', 'spire', 'storm', 'soak', 'growth'] as const
type Part = (typeof PARTS)[number]

function isPart(text: string): text is Part {
  return PARTS.some((part) => part === text)
}

function tell(text: string): void {
  process.stderr.write(`bench: ${text}\n`)
}

async function measure(chosen: ReadonlySet<Part>, scale: Scale, dist: string, staged: string): Promise<BenchResults> {
  const contestants = findContestants(dist, staged)
  for (const { side, form } of contestants) tell(`${side}: ${form}`)
  return {
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memoryGb: Math.round(totalmem() / 1e9),
      node: process.version,
      forms: Object.fromEntries(contestants.map(({ side, form }) => [side, form])),
    },
    life: chosen.has('life') ? await lives(contestants, scale, tell) : [],
    cold: chosen.has('cold') ? await coldStarts(contestants, scale, tell) : [],
    server: chosen.has('server') ? await serverLevels(contestants, scale, tell) : [],
    agent: chosen.has('agent') ? await agentLevels(contestants, scale, tell) : [],
    spire: chosen.has('spire') ? await throughSpire(contestants, scale, tell) : [],
    storm: chosen.has('storm') ? await storms(contestants, scale, tell) : [],
    soak: chosen.has('soak') ? await soak(contestants, scale, tell) : [],
    growth: chosen.has('growth') ? await growth(contestants, scale, tell) : [],
  }
}

async function measureStaged(chosen: ReadonlySet<Part>, scale: Scale, dist: string): Promise<BenchResults> {
  const staged = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    return await measure(chosen, scale, dist, staged)
  } finally {
    rmSync(staged, { recursive: true })
  }
}

/** Four digits say all that a measurement knows. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      out: { type: 'string' },
      dist: { type: 'string' },
      rounds: { type: 'string' },
      levels: { type: 'string' },
    },
  })
  const only = values.only?.split(',') ?? PARTS
  const unknown = only.find((part) => !isPart(part))
  if (unknown !== undefined) throw new Error(`--only: unknown part ${unknown}; there are ${PARTS.join(', ')}`)
  const base = values.quick === true ? QUICK : FULL
  const scale: Scale = {
    ...base,
    ...(values.rounds !== undefined && { rounds: Number(values.rounds) }),
    ...(values.levels !== undefined && { levels: values.levels.split(',').map(Number) }),
  }
  const root = join(import.meta.dirname, '..', '..')
  const out = values.out ?? join(root, '.tmp', 'bench')
  const results = await measureStaged(new Set(only.filter(isPart)), scale, values.dist ?? join(root, 'dist'))
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, 'bench.json'), `${JSON.stringify(results, rounded, 2)}\n`)
  writeFileSync(join(out, 'bench.svg'), drawBench(results))
  const text = [tables(results), goalsTable(results)].filter((part) => part !== '').join('\n')
  writeFileSync(join(out, 'bench.md'), `${text}\n`)
  process.stdout.write(`${text}\n`)
  tell(`wrote bench.md, bench.json and bench.svg to ${out}`)
}

await main()
