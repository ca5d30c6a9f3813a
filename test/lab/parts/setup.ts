/**
 * Sets up the real parts and starts nothing: `node test/lab/parts/setup.ts`, with `--tower` the tower's programs too.
 *
 * @module
 */
import { reasonOf } from '../processes/errors.ts'
import { prepareForeignParts } from './prepare.ts'
import { requireTowerTools } from './tower-programs.ts'

process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))
try {
  await prepareForeignParts(process.stdout)
  if (process.argv.includes('--tower')) await requireTowerTools(process.stdout)
  process.stdout.write('Everything is set up. Next: make demo\n')
} catch (error) {
  process.stdout.write(`\nSet-up failed: ${reasonOf(error)}\n`)
  process.exitCode = 1
}
