/**
 * Everything a rig needs before it starts: checks, installs or builds what is missing, side by side.
 *
 * @module
 */

import { requireDebianPackages } from './debian.ts'
import { requireArchivedServers } from './debian-archive.ts'
import { KEYLIME_VERSION, requireKeylime } from './keylime.ts'
import { ownParts, type Parts } from './parts.ts'
import { newBoard, tracked } from './progress.ts'
import { requireSpire, SPIRE_VERSION, spireMustBeBuilt } from './spire.ts'

/** The parts others made. */
export type ForeignParts = Pick<Parts, 'spireBin' | 'keylimeBin'>

/**
 * Makes sure Debian packages, SPIRE and Keylime are there.
 *
 * @param terse Shows only what takes a while, as a test run wants it.
 * @throws {RigError} Something cannot be had: the message says what to do.
 */
export async function prepareForeignParts(out: NodeJS.WriteStream, terse = false): Promise<ForeignParts> {
  const board = newBoard(out, terse)
  try {
    const needs = { python: !process.env.KEYLIME_BIN_DIR || spireMustBeBuilt(), compiler: spireMustBeBuilt() }
    await tracked(
      board,
      'Debian packages',
      (task) => requireDebianPackages(needs, task),
      () => 'all there',
    )
    const [spireBin, keylimeBin] = await Promise.all([
      tracked(board, `SPIRE ${SPIRE_VERSION}`, requireSpire, (dir) => dir),
      tracked(board, `Keylime ${KEYLIME_VERSION}`, requireKeylime, (dir) => dir),
      tracked(board, 'nginx and PostgreSQL', requireArchivedServers, (missing) =>
        missing.length === 0 ? 'there' : `no ${missing.join(', no ')}: their tests will be skipped`,
      ),
    ])
    return { spireBin, keylimeBin }
  } finally {
    board.close()
  }
}

/**
 * Makes sure of everything, our own executables included.
 *
 * @param terse Shows only what takes a while.
 * @throws {RigError} Something cannot be had.
 */
export async function prepareParts(out: NodeJS.WriteStream, terse = false): Promise<Parts> {
  const own = ownParts()
  return { ...own, ...(await prepareForeignParts(out, terse)) }
}
