import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import * as v from 'valibot'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ENTRIES_DOCUMENT, POLICY_SHOW_DOCUMENT } from '../../../operator/schemas/acting.ts'
import { AuditLog } from '../../../operator/watch/audit.ts'
import { FakeSpireServer, fakeEntry } from '../../fakes/fake-spire-server.ts'
import { actAt, type Done, type FakeSite, startFakeSite, towerkeep } from './towerkeep.ts'

let site: FakeSite
let auth: string
let ca: string
beforeEach(async () => {
  site = await startFakeSite({ nodes: 2 })
  ;[auth = '', ca = ''] = site.keylime.nodes.map(({ agentId }) => agentId)
  site.configure(`hosts = ["auth=${auth}", "ca=${ca}"]`)
})
afterEach(async () => site[Symbol.asyncDispose]())

const journal = (): string => join(site.folder, 'journal')
const spiffeId = (agentId: string): string => `spiffe://example.org/spire/agent/keylime/${agentId}`

const act = (...words: readonly string[]): Promise<Done> => actAt(site, ...words)

describe('revoke and restore', () => {
  it('ban a host once somebody has confirmed it, and say how to take it back', async () => {
    const asked = await act('revoke', 'auth')
    expect([asked.exit, asked.summary['error']]).toEqual([3, expect.stringContaining('nobody can be asked here')])
    const dry = await act('revoke', 'auth', '--dry-run')
    expect([dry.exit, dry.summary['outcome'], site.spire.agents.get(spiffeId(auth))?.banned]).toEqual([
      0,
      'dry-run',
      false,
    ])
    const done = await act('revoke', 'auth', '--yes', '--reason', 'stolen')
    expect([done.exit, done.summary['undo'], done.summary['reason']]).toEqual([0, 'towerkeep restore auth', 'stolen'])
    expect(site.spire.agents.get(spiffeId(auth))?.banned).toBe(true)
    expect((await act('revoke', 'auth', '--yes')).summary['outcome']).toBe('nothing-to-do')
  })

  it('do not bring back a host that the gate refuses, or that proved nothing since', async () => {
    await act('revoke', 'auth', '--yes')
    site.keylime.verifier.set(auth, { operational_state: 9 })
    const failed = await act('restore', 'auth', '--yes')
    expect([failed.exit, failed.summary['error']]).toEqual([3, expect.stringContaining('KL-GATE-INVALID-QUOTE')])
    site.keylime.verifier.set(auth, {
      operational_state: 3,
      last_successful_attestation: Math.floor(Date.now() / 1000) - 10,
    })
    const stale = await act('restore', 'auth', '--yes')
    expect([stale.exit, stale.summary['error']]).toEqual([
      3,
      expect.stringContaining('has passed no quote since it was banned'),
    ])
    site.keylime.verifier.set(auth, { last_successful_attestation: Math.floor(Date.now() / 1000) + 5 })
    const lifted = await act('restore', 'auth', '--yes', '--within', '1s')
    expect([lifted.exit, site.spire.agents.has(spiffeId(auth))]).toEqual([1, false])
    expect(JSON.stringify(lifted.summary['messages'])).toContain('has not attested within 1 s')
  })

  it('ban at every server that knows the host, whatever another one knows', async () => {
    const other = await new FakeSpireServer(join(site.folder, 'other.sock')).start()
    const text = readFileSync(site.config, 'utf8')
    writeFileSync(site.config, text.replace(/spire_sockets = \[(.*)\]/, `spire_sockets = [$1, "${other.socketPath}"]`))
    other.attest(auth)
    site.spire.agents.delete(spiffeId(auth))
    const done = await act('revoke', 'auth', '--yes')
    expect([done.exit, other.agents.get(spiffeId(auth))?.banned, JSON.stringify(done.summary['messages'])]).toEqual([
      1,
      true,
      expect.stringContaining('cannot ban it before it attests there'),
    ])
    other.agents.delete(spiffeId(auth))
    const unknown = await act('revoke', 'auth', '--yes')
    expect([unknown.exit, unknown.summary['error']]).toEqual([3, expect.stringContaining('no SPIRE server knows')])
    other.stop()
  })

  it('lift no ban of watch, or under another name of the host, before it proved itself anew', async () => {
    const auditFile = join(site.folder, 'audit.jsonl')
    const hosts = `hosts = ["auth=${auth}", "ca=${ca}"]`
    site.configure(`${hosts}\nwatch { audit_file = "${auditFile}" }`)
    site.spire.attest(auth, { banned: true, x509svidSerialNumber: '' })
    site.keylime.verifier.set(auth, { last_successful_attestation: Math.floor(Date.now() / 1000) - 5 })
    new AuditLog(auditFile, () => undefined).write({
      event: 'done',
      agent_id: auth,
      action: 'ban',
      outcome: 'banned',
    })
    const stale = await act('restore', 'auth', '--yes')
    expect([stale.exit, stale.summary['error']]).toEqual([3, expect.stringContaining('has passed no quote since')])
    rmSync(auditFile)
    mkdirSync(auditFile)
    const unread = await act('restore', 'auth', '--yes')
    expect([unread.exit, unread.summary['error']]).toEqual([3, expect.stringContaining('cannot be read (EISDIR)')])
    rmSync(auditFile, { recursive: true })
    site.spire.attest(auth)
    await act('revoke', 'auth', '--yes')
    site.configure(`hosts = ["renamed=${auth}", "ca=${ca}"]\nwatch { audit_file = "${auditFile}" }`)
    const renamed = await act('restore', 'renamed', '--yes')
    expect([renamed.exit, renamed.summary['error']]).toEqual([3, expect.stringContaining('has passed no quote since')])
    expect(site.spire.agents.get(spiffeId(auth))?.banned).toBe(true)
  })

  it('bring a ban back that an attestation in flight has undone [O12]', async () => {
    const undo = setInterval(() => {
      if (site.spire.agents.get(spiffeId(auth))?.banned !== true) return
      clearInterval(undo)
      site.spire.attest(auth)
    }, 20)
    const done = await act('revoke', 'auth', '--yes')
    expect([done.exit, site.spire.agents.get(spiffeId(auth))?.banned]).toEqual([0, true])
  })

  it('rotate the authority in order, and ask for the name of the trust domain', async () => {
    const done = await act('revoke', 'auth', '--break-glass', '--after', '500ms', '--yes')
    expect([done.exit, done.items.map(({ state }) => state)]).toEqual([0, Array(7).fill('done')])
    const calls = site.spire.calls
      .map(({ method }) => method)
      .filter((method) => method.includes('X509Authority') && !method.startsWith('Get'))
    expect(calls).toEqual([
      'PrepareX509Authority',
      'ActivateX509Authority',
      'TaintX509Authority',
      'RevokeX509Authority',
    ])
    expect(done.stderr).toContain('hits all 2 agents and every SVID of the trust domain')
  })

  it('rotate again after a rotation that stopped half way, and leave no authority of before in the bundle', async () => {
    site.spire.failures.set('TaintX509Authority', [status.UNAVAILABLE, 'away'])
    const stopped = await act('revoke', 'auth', '--break-glass', '--after', '500ms', '--yes')
    expect([stopped.exit === 0, stopped.summary['outcome']]).toEqual([false, 'failed'])
    site.spire.failures.delete('TaintX509Authority')
    site.spire.calls.length = 0
    expect((await act('revoke', 'auth', '--break-glass', '--after', '500ms', '--yes')).exit).toBe(0)
    const calls = site.spire.calls.map(({ method }) => method.replace('X509Authority', ''))
    expect(calls.filter((method) => ['Prepare', 'Activate', 'Taint', 'Revoke'].includes(method))).toEqual(
      ['Taint Revoke', 'Prepare Activate Taint Revoke'].flatMap((words) => words.split(' ')),
    )
  })

  it('name hosts that are not there, and sources that are away', async () => {
    const unknown = await act('revoke', 'nobody', '--yes')
    expect([unknown.exit, unknown.summary['error']]).toEqual([64, 'nobody is no host; known are: auth, ca'])
    site.spire.stop()
    const away = await act('revoke', 'auth', '--yes')
    expect([away.exit, away.summary['error']]).toEqual([
      69,
      expect.stringContaining('the spire does not answer, so nothing was done'),
    ])
  })
})

describe('entries', () => {
  const gone = spiffeId('gone')
  beforeEach(() => {
    site.spire.entries.set('e1', fakeEntry('e1', 'spiffe://example.org/web', gone, ['unix:uid:0']))
    site.spire.entries.set('e2', fakeEntry('e2', 'spiffe://example.org/db', spiffeId(ca), ['unix:uid:1']))
  })

  it('are listed with the hosts they reach', async () => {
    const ran = await towerkeep('entries', 'list', '--config', site.config, '--output', 'json')
    const { items, summary } = v.parse(ENTRIES_DOCUMENT, JSON.parse(ran.stdout))
    expect(summary).toEqual({ entries: 2, orphans: 1 })
    expect(items.map(({ spiffe_id: id, hosts, orphan }) => `${id} ${hosts.join()} ${orphan}`).toSorted()).toEqual([
      'spiffe://example.org/db ca false',
      'spiffe://example.org/web  true',
    ])
  })

  it('may lie under an alias, which is made once', async () => {
    const words = ['entries', 'alias', 'spiffe://example.org/node/auth', '--selector', 'keylime:agent-id:x', '--yes']
    expect((await act(...words)).exit).toBe(0)
    expect((await act(...words)).summary['outcome']).toBe('nothing-to-do')
    expect((await act('entries', 'alias', 'spiffe://example.org/n', '--yes')).exit).toBe(64)
  })
})

describe('gc', () => {
  it('lists what is left over, deletes it with a way back, and never touches a healthy host', async () => {
    expect((await act('gc')).exit).toBe(0)
    site.spire.entries.set('e1', fakeEntry('e1', 'spiffe://example.org/web', spiffeId('gone'), ['unix:uid:0']))
    const listed = await act('gc')
    expect([listed.exit, listed.items.map(({ title }) => title)]).toEqual([
      1,
      ['spiffe://example.org/web: orphan-entry'],
    ])
    const deleted = await act('gc', '--delete', '--yes')
    expect([deleted.exit, site.spire.entries.size, site.spire.agents.size]).toEqual([0, 0, 2])
    const undo = readdirSync(journal()).find((name) => name.endsWith('.undo')) ?? ''
    const undone = await act('gc', '--undo', join(journal(), undo), '--yes')
    expect([undone.exit, undone.summary['messages']]).toEqual([0, []])
    expect([...site.spire.entries.values()].map(({ spiffeId: id }) => id?.path)).toEqual(['/web'])
    writeFileSync(join(journal(), 'bad.undo'), '{}')
    expect((await act('gc', '--undo', join(journal(), 'bad.undo'))).exit).toBe(64)
  })

  it('refuses when a source is away', async () => {
    await site.keylime.registrar.close()
    const refused = await act('gc', '--delete', '--yes')
    expect([refused.exit, refused.summary['error']]).toEqual([
      69,
      expect.stringContaining('the registrar does not answer'),
    ])
  })
})

describe('recover', () => {
  it('refuses by itself what a command must not bring back, with advice', async () => {
    site.keylime.verifier.set(auth, { operational_state: 9, last_event_id: 'pcr_validation.invalid_pcr_7' })
    site.keylime.verifier.set(ca, { operational_state: 10 })
    const refused = await act('recover', '--yes')
    expect([refused.exit, refused.summary['refused']]).toEqual([3, 2])
    expect(JSON.stringify(refused.summary['advice'])).toMatch(
      /failed its measurements \(pcr_validation.invalid_pcr_7\).*was stopped by a person/,
    )
    expect((await act('recover', 'nobody')).exit).toBe(64)
  })
})

describe('policy show', () => {
  it('fails for a host that nobody knows, and says what it could not read', async () => {
    const lint = async (...words: readonly string[]): Promise<readonly [number, string]> => {
      const ran = await towerkeep('policy', 'lint', ...words, '--config', site.config, '--output', 'json')
      return [ran.exit, ran.stdout]
    }
    expect(await lint('atuh')).toEqual([64, expect.stringContaining('atuh is no host')])
    site.keylime.verifier.set(auth, { tpm_policy: 7 })
    expect(await lint('auth')).toEqual([3, expect.stringContaining('TK-DOC-UNSEEN')])
  })

  it('tells what is compared from what is only quoted, and fails for a policy that compares nothing [P01]', async () => {
    site.keylime.verifier.set(auth, { tpm_policy: '{"mask": "0x90"}', has_runtime_policy: 0, has_mb_refstate: 0 })
    const ran = await towerkeep('policy', 'lint', 'auth', '--config', site.config, '--output', 'json')
    const { items, findings, exit } = v.parse(POLICY_SHOW_DOCUMENT, JSON.parse(ran.stdout))
    expect([items[0]?.compared, items[0]?.only_quoted, findings[0]?.id, exit]).toEqual([
      [],
      [4, 7],
      'TK-KL-WEAK-POLICY',
      2,
    ])
  })
})

describe('support', () => {
  it('writes a file without secrets, and none that would hold one', async () => {
    const out = join(site.folder, 'support.json')
    const done = await act('support', '--out', out, '--yes')
    expect([done.exit, existsSync(out)]).toEqual([0, true])
    const text = readFileSync(out, 'utf8')
    expect(text).toContain('"towerkeep/support/v1"')
    expect(text).not.toMatch(/PRIVATE KEY/)
    expect(done.stderr).toContain('in it: doctor.json')
  })
})
