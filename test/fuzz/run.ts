/**
 * Runs the fuzz: `node test/fuzz/run.ts [--seed N] [--mutants N] [--seconds N] [--target NAME]`.
 *
 * The seed is printed; the same seed makes the same mutants. Exit code 1 when any input crashes a parser, or takes
 * longer than its target allows.
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { type FuzzTarget, mutantOf } from './fuzz-target.ts'
import { TARGETS } from './targets.ts'

/** What the worker is told. */
export interface FuzzOrder {
  readonly target: string
  readonly seed: number
  readonly mutants: number
  readonly maxSeconds: number
  /** One Int32: the number of the input being fed. */
  readonly progress: SharedArrayBuffer
}

/** One input that must not be. */
export interface Finding {
  readonly index: number
  readonly problem: string
  /** The input itself, in base64: a corpus with fresh keys is another in each run. */
  readonly input: string
}

/** What the worker found. */
export interface FuzzReport {
  readonly done: number
  readonly accepted: number
  readonly refused: number
  readonly slowestMs: number
  readonly findings: readonly Finding[]
}

/** An input that stays under work this long hangs; far beyond what a busy machine adds. */
const HANG_MS = 20_000
const DEFAULT_SECONDS = 300

async function runTarget(target: FuzzTarget, seed: number, mutants: number, maxSeconds: number): Promise<FuzzReport> {
  const progress = new SharedArrayBuffer(4)
  const workerData: FuzzOrder = { target: target.name, seed, mutants, maxSeconds, progress }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData })
  try {
    return await Promise.race([reportOf(worker), hangOf(progress, target, seed)])
  } finally {
    await worker.terminate()
  }
}

function reportOf(worker: Worker): Promise<FuzzReport> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

/** Resolves when the same input is under work for too long. */
function hangOf(progress: SharedArrayBuffer, target: FuzzTarget, seed: number): Promise<FuzzReport> {
  const view = new Int32Array(progress)
  return new Promise((resolve) => {
    let last = -1
    const timer = setInterval(() => {
      const index = Atomics.load(view, 0)
      if (index !== last) {
        last = index
        return
      }
      clearInterval(timer)
      const input = mutantOf(target, seed, index).toString('base64')
      const findings = [{ index, problem: `still running after ${HANG_MS} ms`, input }]
      resolve({ done: index, accepted: 0, refused: 0, slowestMs: HANG_MS, findings })
    }, HANG_MS)
    timer.unref()
  })
}

function show(target: FuzzTarget, seed: number, report: FuzzReport): void {
  const { done, accepted, refused, slowestMs, findings } = report
  process.stdout.write(
    `fuzz ${target.name}: seed ${seed}, ${done} mutants, ${accepted} accepted, ${refused} refused, ` +
      `slowest ${slowestMs.toFixed(1)} ms, ${findings.length} crashed\n`,
  )
  for (const { index, problem, input } of findings) {
    process.stdout.write(`  mutant ${index}: ${problem}\n    input (base64): ${input.slice(0, 4000)}\n`)
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      mutants: { type: 'string' },
      seconds: { type: 'string' },
      target: { type: 'string' },
    },
  })
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  const seconds = Number(values.seconds ?? DEFAULT_SECONDS)
  const chosen = TARGETS.filter(({ name }) => values.target === undefined || name === values.target)
  if (chosen.length === 0)
    throw new Error(`no fuzz target ${values.target}; there are ${TARGETS.map((t) => t.name).join(', ')}`)
  let failed = false
  for (const target of chosen) {
    // One after the other: each has the machine's time for its own time cap.
    // oxlint-disable-next-line no-await-in-loop
    const report = await runTarget(target, seed, Number(values.mutants ?? target.mutants), seconds)
    show(target, seed, report)
    failed ||= report.findings.length > 0
  }
  process.exitCode = failed ? 1 : 0
}

await main()
