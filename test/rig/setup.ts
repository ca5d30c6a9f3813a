/**
 * Sets up the real parts and starts nothing: `node test/rig/setup.ts`.
 *
 * @module
 */
import { reasonOf } from './errors.ts'
import { prepareForeignParts } from './prepare.ts'

process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))
try {
  await prepareForeignParts(process.stdout)
  process.stdout.write('Everything is set up. Next: make demo\n')
} catch (error) {
  process.stdout.write(`\nSet-up failed: ${reasonOf(error)}\n`)
  process.exitCode = 1
}
