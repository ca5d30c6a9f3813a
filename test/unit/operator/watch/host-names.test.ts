import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { writeMetricsFile } from '../../../../operator/renew/metrics-file.ts'
import { writeHostNames } from '../../../../operator/watch/host-names.ts'

const folder = mkdtempSync(join(tmpdir(), 'towerkeep-files-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs something as a unit with UMask=0077 does; gives the mode of a file. */
function modeAfter(file: string, work: () => void): string {
  const before = process.umask(0o077)
  try {
    work()
  } finally {
    process.umask(before)
  }
  return (statSync(join(folder, file)).mode & 0o777).toString(8)
}

describe('files for other users, written under the umask of the units', () => {
  it('are the names of hosts, for completion', () => {
    const hosts = [{ name: 'auth' }, { name: 'ca' }]
    expect(modeAfter('hosts', () => writeHostNames(folder, { hosts }))).toBe('644')
    expect(readFileSync(join(folder, 'hosts'), 'utf8')).toBe('auth\nca\n')
    expect(() => writeHostNames(join(folder, 'gone'), { hosts })).not.toThrow()
  })

  it('are the metrics of renewals, for the collector', () => {
    const seen = [{ cert: 'agent', result: 'renewed', left: 1 }] as const
    const write = (): void => writeMetricsFile(join(folder, 'renewals.prom'), seen, 1_000_000)
    expect(modeAfter('renewals.prom', write)).toBe('644')
    expect(readFileSync(join(folder, 'renewals.prom'), 'utf8')).toContain('{cert="agent",result="renewed"} 1\n')
  })
})
