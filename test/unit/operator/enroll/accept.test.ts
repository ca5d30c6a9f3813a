import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { actAt, type FakeSite, startFakeSite } from '../towerkeep.ts'

const BARE = { has_runtime_policy: 0, has_mb_refstate: 0 }

/** Accepts the first host as it is registered, with more words. */
async function accept(site: FakeSite, ...words: readonly string[]) {
  const { agentId } = site.keylime.node()
  const common = ['enroll', 'accept', 'auth', '--agent-id', agentId, '--unattested', '--yes', '--within', '1s']
  const stranger = await actAt(site, ...common, '--ek', `sha256:${'0'.repeat(64)}`, ...words)
  const ek = /has the hash ([0-9a-f]{64})/.exec(JSON.stringify(stranger.summary))?.[1] ?? ''
  return actAt(site, ...common, '--ek', `sha256:${ek}`, ...words)
}

describe('enroll accept', () => {
  it('takes nobody for enrolled whose policy compares less than was asked for', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    site.keylime.verifier.set(agentId, { ...BARE, tpm_policy: '{"mask": "0x80"}' })
    const refused = await accept(site, '--baseline', '7')
    expect([refused.exit, JSON.stringify(refused.summary)]).toEqual([
      3,
      expect.stringContaining('is enrolled with another policy'),
    ])
    site.keylime.verifier.set(agentId, { ...BARE, tpm_policy: '{"mask": "0x80", "7": ["00"]}' })
    expect((await accept(site, '--baseline', '7')).exit).toBe(0)
  })

  it('does not take a verifier that fails for one that does not know the host', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    const policy = join(site.folder, 'policy.json')
    writeFileSync(policy, '{"mask": "0x80", "7": ["00"]}')
    site.keylime.verifier.set(agentId, { ...BARE, tpm_policy: 7 })
    const failed = await accept(site, '--policy', policy)
    expect([failed.exit === 0, site.keylime.verifier.stats.requests['enrol'] ?? 0]).toEqual([false, 0])
  })
})
