/**
 * OpenTofu, which only its own conformance tests need, in the cache.
 *
 * @module
 */
import { join } from 'node:path'
import { requireGoProgram } from './go.ts'
import { newBoard, tracked } from './progress.ts'

const MODULE = join(import.meta.dirname, 'opentofu')
const PACKAGE = 'github.com/opentofu/opentofu/cmd/tofu'

/**
 * Makes sure OpenTofu is in the cache.
 *
 * @param out Shows the progress: the first build takes minutes.
 * @returns Path of its program.
 * @throws {RigError} It does not build.
 */
export async function requireOpenTofu(out: NodeJS.WriteStream): Promise<string> {
  const board = newBoard(out)
  try {
    const dir = await tracked(board, 'OpenTofu', (task) => requireGoProgram('opentofu', MODULE, PACKAGE, task))
    return join(dir, 'tofu')
  } finally {
    board.close()
  }
}
