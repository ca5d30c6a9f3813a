/**
 * How fast the operator's tool answers: from the start of its process to its end.
 *
 * @module
 */
import { runCommand } from '../lab/processes/commands.ts'
import { runTowerkeep, towerkeepProgram } from '../lab/tower/keeping.ts'
import type { Tower } from '../lab/tower/tower.ts'

/** Milliseconds of each run. */
export interface StartResult {
  readonly helpMs: readonly number[]
  /** Names of hosts, as the completion scripts ask for them. */
  readonly completeMs: readonly number[]
  readonly statusMs: readonly number[]
}

const STARTS = 50
const STATUS_RUNS = 20

/**
 * Measures, one run after the other.
 *
 * @param tower A tower with three hosts, watched.
 */
export async function measureStart(tower: Tower): Promise<StartResult> {
  const program = towerkeepProgram()
  // The first start reads the executable from the disk.
  await runCommand(program, ['--help'])
  return {
    helpMs: await times(STARTS, () => runCommand(program, ['--help'])),
    completeMs: await times(STARTS, () => runCommand(program, ['__complete', 'host'])),
    statusMs: await times(STATUS_RUNS, () => runTowerkeep(tower, ['status'])),
  }
}

async function times(runs: number, run: () => Promise<unknown>): Promise<readonly number[]> {
  const measured: number[] = []
  for (let count = 0; count < runs; count += 1) {
    const began = performance.now()
    await run()
    measured.push(performance.now() - began)
  }
  return measured
}
