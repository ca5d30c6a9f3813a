import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { actAt, startFakeSite } from '../towerkeep.ts'

describe('enroll prepare', () => {
  it.each([
    ['no address', [], '--ip is missing: expected the IP address where the verifier reaches node7'],
    ['a name', ['--ip', 'node7'], '--ip node7: expected the IP address where the verifier reaches node7'],
  ])('writes nothing with %s for the verifier to reach', async (_what, words, error) => {
    await using site = await startFakeSite({ nodes: 1 })
    const emit = join(site.folder, 'node7')
    const refused = await actAt(site, 'enroll', 'prepare', 'node7', '--emit', emit, '--yes', ...words)
    expect([refused.exit, refused.summary['error'], existsSync(emit)]).toEqual([64, error, false])
  })

  it('writes the address where the verifier reaches the node', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const emit = join(site.folder, 'node7')
    const done = await actAt(site, 'enroll', 'prepare', 'node7', '--emit', emit, '--yes', '--ip', '10.0.0.7')
    expect([done.exit, done.summary['error']]).toEqual([0, undefined])
    expect(readFileSync(join(emit, 'etc/keylime/agent.conf'), 'utf8')).toContain('contact_ip = "10.0.0.7"\n')
  })
})
