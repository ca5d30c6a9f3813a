import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { ERROR_DOCUMENT } from '../../../operator/schemas/envelope.ts'
import { EXPLAIN_CODE_DOCUMENT, EXPLAIN_DOCUMENT, STATUS_DOCUMENT } from '../../../operator/schemas/reading.ts'
import { fakeEntry } from '../../fakes/fake-spire-server.ts'
import { startFakeSite, towerkeep } from './towerkeep.ts'

const golden = join(import.meta.dirname, '../../fixtures/towerkeep')

/** Gives every value that differs from run to run a name. */
function settled(text: string, names: Readonly<Record<string, string>>): unknown {
  let same = text
  for (const [value, name] of Object.entries(names)) same = same.replaceAll(value, name)
  same = same
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replaceAll(/"(svid_seconds_left|age_seconds)": -?\d+/g, '"$1": 7')
  return JSON.parse(same)
}

describe('status', () => {
  it('shows each host by every source, and exits 0 when all is well', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    const ids = site.keylime.nodes.map(({ agentId }) => agentId)
    site.configure(`hosts = ["auth=${ids[0]}", "ca=${ids[1]}"]`)
    const agent = await site.keylime.startAgent(site.keylime.node(0))
    const other = await site.keylime.startAgent(site.keylime.node(1))
    site.keylime.verifier.set(site.keylime.node(0).agentId, { port: agent.port })
    site.keylime.verifier.set(site.keylime.node(1).agentId, { port: other.port })
    const text = await towerkeep('status', '--config', site.config)
    expect(text.stderr).toBe('')
    expect(text.stdout).toMatch(
      /^HOST +AGENT ID +EK +KEYLIME +FRESH +POLICY +SPIRE +SVID +CERT +VERDICT\nauth +\S+ +match +get-quote \(3\) 23 +\ds +.*attested +59m.* 100 % +admit\nca /,
    )
    expect(text.stdout).toContain('2 of 2 hosts admitted · TPM 100 % · join_token 0 % · mTLS 0 % · plain HTTP 100 %')
    expect(text.stdout).toMatch(/\n0 critical, 0 warnings, 0 unknown {2}\d\.\d s\n$/)
    expect(text.exit).toBe(0)
  })

  it('gives one JSON document by its schema, the same as the golden one [O02]', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    const [first, second] = site.keylime.nodes.map(({ agentId }) => agentId)
    site.configure(`hosts = ["auth=${first}", "ca=${second}"]`)
    site.spire.attest('spiffe://example.org/spire/agent/join_token/t')
    const ran = await towerkeep('status', '--config', site.config, '--output', 'json')
    const document = v.parse(STATUS_DOCUMENT, JSON.parse(ran.stdout))
    expect(document.summary).toMatchObject({ tpm_percent: 66.7, join_token_percent: 33.3 })
    const names = { [first ?? '']: 'AGENT-1', [second ?? '']: 'AGENT-2' }
    const same = settled(ran.stdout, names)
    if (process.env['GOLDEN'] !== undefined)
      writeFileSync(join(golden, 'status-v1.json'), `${JSON.stringify(same, null, 2)}\n`)
    expect(same).toEqual(JSON.parse(readFileSync(join(golden, 'status-v1.json'), 'utf8')))
  })

  it('leaves ? for a source that is down, exit 3, and turns no row red or green [O01]', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await site.keylime.verifier.close()
    const ran = await towerkeep('status', '--config', site.config, '--output', 'json', '--timeout', '2s')
    const document = v.parse(STATUS_DOCUMENT, JSON.parse(ran.stdout))
    expect([ran.exit, document.exit]).toEqual([3, 3])
    expect(document.items[0]).toMatchObject({
      keylime: { state: null },
      spire: { standing: 'attested' },
      verdict: { standing: 'unknown' },
    })
    expect(document.findings.map(({ id, severity }) => [id, severity])).toEqual([['TK-SRC-VERIFIER', 'unknown']])
    expect(document.findings[0]?.message).toMatch(/^keylime verifier 127\.0\.0\.1:\d+ .*nothing listens/)
    site.spire.stop()
    const both = await towerkeep('status', '--config', site.config, '--timeout', '2s')
    expect(both.stdout).toContain('there is no such socket; is spire-server running')
    expect(both.exit).toBe(3)
  })

  it.each([
    [{ operational_state: 9, last_event_id: 'pcr_validation.invalid_pcr_7' }, 'TK-KL-VERDICT', 'verdict'],
    [{ operational_state: 7, last_event_id: 'internal.verifier.not_reachable' }, 'TK-KL-ABSENT', 'absent'],
    [{ last_successful_attestation: 1_700_000_000 }, 'TK-KL-ABSENT', 'absent'],
    [{ operational_state: 1, attestation_count: 0, last_successful_attestation: 0 }, 'TK-KL-PENDING', 'pending'],
  ] as const)('says what is wrong with %o', async (fields, id, standing) => {
    await using site = await startFakeSite({ nodes: 1 })
    site.keylime.verifier.set(site.keylime.node().agentId, fields)
    const ran = await towerkeep('status', '--config', site.config, '--output', 'json')
    const document = v.parse(STATUS_DOCUMENT, JSON.parse(ran.stdout))
    expect(document.items[0]?.verdict.standing).toBe(standing)
    const found = document.findings.map((one) => one.id)
    expect(found).toContain(id)
    expect(found.includes('TK-SPIRE-UNDECIDED')).toBe(standing !== 'pending')
    expect(ran.exit).toBe(standing === 'pending' ? 1 : 2)
  })

  it('waits until hosts are fresh, and gives up with 2', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    const ready = await towerkeep('status', '--wait', '--within', '1s', '--config', site.config)
    expect(ready.exit).toBe(0)
    site.spire.agents.clear()
    const fresh = await towerkeep('status', '--wait', '--within', '1s', '--config', site.config)
    expect(fresh.exit).toBe(0)
    const never = await towerkeep('status', '--wait', '--for', 'attested', '--within', '1s', '--config', site.config)
    expect(never.exit).toBe(2)
    expect(never.stderr).toContain(`waiting for 127.0.0.1 (absent)`)
    expect(never.stdout).toContain('gave up: still waiting for 127.0.0.1 (absent)')
    expect(agentId.length).toBeGreaterThan(0)
  })

  it('refuses a host that nobody knows, as JSON too', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const ran = await towerkeep('status', 'nobody', '--config', site.config, '-o', 'json')
    const document = v.parse(ERROR_DOCUMENT, JSON.parse(ran.stdout))
    expect([ran.exit, document.error]).toEqual([
      64,
      { code: 'TK-USAGE', message: 'no host nobody: known are 127.0.0.1' },
    ])
  })

  it('names every problem of its configuration', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    site.configure('spire_socket = "/x"\nhosts = ["auth"]')
    const ran = await towerkeep('status', '--config', site.config)
    expect(ran.exit).toBe(64)
    expect(ran.stderr).toMatch(
      /^towerkeep: \S+:8:1: spire_socket: .*did you mean "spire_sockets".*; \S+:9:\d+: hosts: expected "name=agent-id".* \[TK-CONF-INVALID\]\n$/,
    )
  })
})

describe('explain', () => {
  it('walks from the TPM to the SVID and stops at the first broken link', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    const agent = await site.keylime.startAgent()
    site.configure(`hosts = ["auth=${agentId}"]`)
    site.keylime.verifier.set(agentId, { port: agent.port })
    const spiffeId = `spiffe://example.org/spire/agent/keylime/${agentId}`
    site.spire.entries.set('e1', fakeEntry('e1', 'spiffe://example.org/web', spiffeId, ['unix:uid:0']))
    const whole = await towerkeep('explain', 'auth', '--config', site.config)
    expect(whole.exit).toBe(0)
    expect(whole.stdout.split('\n').filter((line) => line.startsWith('✓'))).toHaveLength(8)
    expect(whole.stdout).toContain('1: spiffe://example.org/web')

    site.keylime.verifier.set(agentId, { operational_state: 9, last_event_id: 'quote_validation' })
    const broken = await towerkeep('explain', 'spiffe://example.org/web', '--config', site.config, '-o', 'json')
    const document = v.parse(EXPLAIN_DOCUMENT, JSON.parse(broken.stdout))
    const chain = document.items[0]?.chain ?? []
    expect(chain.map(({ link, standing }) => [link, standing])).toEqual([
      ['TPM registered', 'ok'],
      ['Keylime agent reachable', 'ok'],
      ['enrolled', 'ok'],
      ['quoted', 'ok'],
      ['gate', 'broken'],
      ['SPIRE agent', 'unmarked'],
      ['entries', 'unmarked'],
      ['SVID', 'unmarked'],
    ])
    expect(chain[4]?.codes).toContain('KL-GATE-INVALID-QUOTE')
    expect(broken.exit).toBe(2)
  })

  it('names the alias that nearly fits when no entry does', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    const agent = await site.keylime.startAgent()
    site.keylime.verifier.set(agentId, { port: agent.port })
    site.spire.attest(agentId, { selectors: [{ type: 'keylime', value: 'policy:pcr' }] })
    site.spire.entries.set(
      'n1',
      fakeEntry('n1', 'spiffe://example.org/db-hosts', 'spiffe://example.org/spire/server', [
        'keylime:policy:pcr',
        'keylime:policy:runtime',
      ]),
    )
    const ran = await towerkeep('explain', agentId, '--config', site.config, '-o', 'short')
    expect(ran.stdout).toBe(
      '127.0.0.1: entries: no entry has this agent, or an alias of it, as parent; alias spiffe://example.org/db-hosts needs keylime:policy:runtime -> create an entry under its ID\n',
    )
    expect(ran.exit).toBe(2)
  })

  it('explains codes of plugins and tool without asking anybody', async () => {
    for (const code of ['KL-GATE-STALE', 'tk-kl-verdict']) {
      const ran = await towerkeep('explain', code, '--output', 'json', '--config', '/dev/null/none')
      const document = v.parse(EXPLAIN_CODE_DOCUMENT, JSON.parse(ran.stdout))
      expect([ran.exit, document.items[0]?.code]).toEqual([0, code.toUpperCase()])
    }
  })
})
