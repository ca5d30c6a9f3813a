/**
 * Stops a host that `make demo KEEP=1` left running: `node test/lab/one-host/stop.ts <its folder>`.
 *
 * @module
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { reasonOf } from '../processes/errors.ts'
import { endGroup, type GroupRecord } from '../processes/process-group.ts'

/** The state file of a kept host, written by `Rig.keep`. */
interface KeptState {
  readonly logDir: string
  readonly groups: readonly GroupRecord[]
}

async function main(dir: string | undefined): Promise<number> {
  if (dir === undefined) {
    process.stderr.write('usage: node test/lab/one-host/stop.ts <folder that make demo KEEP=1 printed>\n')
    return 2
  }
  let state: KeptState
  try {
    state = JSON.parse(readFileSync(join(dir, 'rig.json'), 'utf8')) as KeptState
  } catch (error) {
    process.stderr.write(`${dir} is not the folder of a running host: ${reasonOf(error)}\n`)
    return 1
  }
  for (const group of state.groups.toReversed()) {
    await endGroup(group)
    process.stdout.write(`stopped ${group.name}\n`)
  }
  rmSync(dir, { recursive: true, force: true })
  process.stdout.write(`removed ${dir}; the logs stay in ${state.logDir}\n`)
  return 0
}

process.exitCode = await main(process.argv[2])
