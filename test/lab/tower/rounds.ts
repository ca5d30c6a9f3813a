/**
 * Raises and takes down a tower several times, and looks for what is left after each: `node test/lab/tower/rounds.ts [N]`.
 *
 * @module
 */

import { prepareParts } from '../parts/prepare.ts'
import { requireTowerTools } from '../parts/tower-programs.ts'
import { reasonOf } from '../processes/errors.ts'
import { leftoversOf } from './leftovers.ts'
import { Tower } from './tower.ts'

const PREFIX = 'twround'
const DEFAULT_ROUNDS = 10

async function main(rounds: number): Promise<number> {
  const parts = { ...(await prepareParts(process.stdout)), ...(await requireTowerTools(process.stdout)) }
  for (let round = 1; round <= rounds; round += 1) {
    const began = performance.now()
    const tower = await Tower.up({ parts, prefix: PREFIX })
    const up = (performance.now() - began) / 1000
    await tower.down()
    const down = (performance.now() - began) / 1000 - up
    const left = leftoversOf(PREFIX)
    process.stdout.write(
      `round ${round}: up in ${up.toFixed(1)} s, down in ${down.toFixed(1)} s, ${left.length} left over\n`,
    )
    if (left.length === 0) continue
    process.stdout.write(`${left.join('\n')}\n`)
    return 1
  }
  return 0
}

try {
  process.exitCode = await main(Number(process.argv[2] ?? DEFAULT_ROUNDS))
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exitCode = 1
}
