/**
 * Measures the plugins: `node test/bench/run.ts [--quick] [--only life,cold,server,agent,spire,storm,soak,growth,model]
 * [--rounds N] [--levels 1,32] [--dist FOLDER] [--out FOLDER] [--publish]`.
 *
 * With `GO_PLUGIN_DIR` the Go pair runs beside ours in the same rounds, and the ratios are printed. Writes
 * `bench.md`, `bench.json`, `bench.svg` and `model.svg` into the folder; default `.tmp/bench`. `--publish` writes into
 * `docs/bench`, and the tables of docs/scaling.md from it.
 *
 * @module
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { agentLevels } from './agent-half.ts'
import { drawBench } from './chart.ts'
import { coldStarts } from './cold-start.ts'
import { type Contestant, findContestants } from './contestants.ts'
import { goalsTable } from './goals.ts'
import { growth } from './growth.ts'
import { lives } from './lifecycle.ts'
import { LoadWatch } from './machine-load.ts'
import { drawModel } from './model-chart.ts'
import { modelRuns } from './model-run.ts'
import { throughSpire } from './real-spire.ts'
import { type BenchResults, tables } from './report.ts'
import { FULL, QUICK, type Scale } from './scale.ts'
import { serverLevels } from './server-levels.ts'
import { soak } from './soak.ts'
import { storms } from './storm.ts'

const PARTS = ['life', 'cold', 'server', 'agent', 'spire', 'storm', 'soak', 'growth', 'model'] as const
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
  const watch = new LoadWatch()
  const part = async <T>(
    name: Part,
    run: (contestants: readonly Contestant[], scale: Scale, tell: (text: string) => void) => Promise<T[]>,
  ): Promise<T[]> => {
    watch.look()
    return chosen.has(name) ? await run(contestants, scale, tell) : []
  }
  const measured = {
    life: await part('life', lives),
    cold: await part('cold', coldStarts),
    server: await part('server', serverLevels),
    agent: await part('agent', agentLevels),
    spire: await part('spire', throughSpire),
    storm: await part('storm', storms),
    soak: await part('soak', soak),
    growth: await part('growth', growth),
    model: await part('model', modelRuns),
  }
  watch.look()
  return { machine: { ...machineOf(contestants), load: watch.load }, ...measured }
}

function machineOf(contestants: readonly Contestant[]): Omit<BenchResults['machine'], 'load'> {
  const [ours] = contestants
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    forms: Object.fromEntries(contestants.map(({ side, form }) => [side, form])),
    // In the form of sources the program is Node.js itself, and says nothing.
    ...(ours?.programs.server.args.length === 0 && {
      executableMb: statSync(ours.programs.server.command).size / 1e6,
    }),
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
      publish: { type: 'boolean', default: false },
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
  const out = values.out ?? (values.publish ? join(root, 'docs', 'bench') : join(root, '.tmp', 'bench'))
  const results = await measureStaged(new Set(only.filter(isPart)), scale, values.dist ?? join(root, 'dist'))
  mkdirSync(out, { recursive: true })
  writeFileSync(join(out, 'bench.json'), `${JSON.stringify(results, rounded, 2)}\n`)
  writeFileSync(join(out, 'bench.svg'), drawBench(results))
  writeFileSync(join(out, 'model.svg'), drawModel(results.model))
  const text = [tables(results), goalsTable(results, values.publish ? '../scaling.md' : '')]
    .filter((part) => part !== '')
    .join('\n')
  writeFileSync(join(out, 'bench.md'), `${text}\n`)
  process.stdout.write(`${text}\n`)
  tell(`wrote bench.md, bench.json, bench.svg and model.svg to ${out}`)
  if (values.publish) execFileSync(process.execPath, [join(root, 'scripts', 'docs.ts')], { stdio: 'inherit' })
}

await main()
