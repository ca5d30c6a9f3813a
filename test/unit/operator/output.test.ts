import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const MAIN = join(import.meta.dirname, '../../../operator/main.ts')

/** What a shell's command ends with, and what it writes. */
function shell(command: string): string {
  return execFileSync('/bin/sh', ['-c', command, process.execPath, MAIN], { encoding: 'utf8' })
}

describe('standard output', () => {
  it.skipIf(!existsSync('/dev/full'))('that cannot be written is a fault, and not an answer', () => {
    expect(shell('"$0" "$1" help 2>&1 >/dev/full; echo $?')).toMatch(
      /standard output cannot be written \(ENOSPC\).*\n70\n/,
    )
  })

  it('whose reader has gone away is none', () => {
    expect(shell('{ { "$0" "$1" help; echo "ended with $?" >&2; } | true; } 2>&1')).toBe('ended with 0\n')
  })
})
