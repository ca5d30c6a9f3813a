import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { EXPLAIN_DOCUMENT, STATUS_DOCUMENT } from '../../../operator/schemas/reading.ts'
import { brokenLink } from '../../../operator/watch/audit.ts'
import { askHttps } from '../../lab/processes/https.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { heal, tamper } from '../../lab/tower/actions.ts'
import { measureCutOff, restoreHost } from '../../lab/tower/cut-off.ts'
import { BELL_PORT, SERVICE_NAMES } from '../../lab/tower/hosts.ts'
import { type Keeper, runTowerkeep, startKeeper } from '../../lab/tower/keeping.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { hasSvid, onTower, svidReturns, useTower } from './scenario.ts'

const tower = useTower('twkeep', { webhook: true })

onTower('the operator at the tower', () => {
  let keeper: Keeper | undefined
  /** Starts the daemon, anew where one runs. */
  const keep = async (watch?: string): Promise<void> => {
    await keeper?.stop()
    keeper = await startKeeper(tower(), watch)
  }
  beforeAll(() => keep())
  afterAll(async () => keeper?.stop())

  /** How often the daemon has said that the verifier does not answer. */
  const outages = (): number =>
    (keeper?.process.readLog().match(/"a source does not answer".*"source":"verifier/g) ?? []).length

  /** Whether the daemon has seen the verifier answer since it last did not. */
  const seesVerifier = (): boolean =>
    keeper?.process
      .readLog()
      .split('\n')
      .findLast((line) => line.includes('"source":"verifier'))
      ?.includes('"a source answers"') === true

  const auditText = (): string => readFileSync(keeper?.auditFile ?? '', 'utf8')
  const audit = (): readonly Readonly<Record<string, string>>[] =>
    auditText()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Readonly<Record<string, string>>)

  it('sees three hosts by every source, with no file of its own but certificates and names [O02] [T48] [T37]', async () => {
    const { code, document } = await status()
    expect(document.items.map(({ host }) => host)).toEqual(['auth', 'ca', 'spire'])
    for (const row of document.items) {
      expect(row).toMatchObject({ ek: 'match', spire: { standing: 'attested' }, verdict: { standing: 'admitted' } })
      expect(row.keylime.attestation_count).toBeGreaterThan(0)
      expect(row.keylime.age_seconds).toBeLessThan(12)
    }
    expect(document.summary).toMatchObject({
      tpm_percent: 100,
      join_token_percent: 0,
      mtls_percent: 100,
      plain_http_percent: 0,
    })
    expect(code).toBe(0)
  })

  it('sees a Keylime agent that is gone, evicts its host and no other, and has the verifier begin anew once it is back [O01] [O10] [O13] [T34]', async () => {
    const host = tower().host('ca')
    await keep('mode = "ban"\n  recover = "reboot"')
    const before = audit().length
    await host.stopKeylimeAgent()
    await pollUntil(
      'the row of ca to change',
      async () => {
        const { code, document } = await status('ca')
        return code === 2 && document.items[0]?.verdict.standing === 'absent'
      },
      { deadlineMs: 12_000 },
    )
    const evicted = async (): Promise<boolean> => (await tower().spire.agentShow(host.spiffeId)) === undefined
    await pollUntil('ca to be evicted', evicted, { deadlineMs: 36_000 })
    const acted = audit()
      .slice(before)
      .filter(({ event }) => event === 'done')
    expect(acted.map(({ action, cause, agent_id: agentId }) => [action, cause, agentId])).toEqual([
      ['evict', 'absent', host.agentId],
    ])
    for (const other of ['auth', 'spire']) {
      expect(await tower().spire.agentShow(tower().host(other).spiffeId)).toBeDefined()
      expect(await hasSvid(tower().host(other))).toBe(true)
    }
    try {
      await host.startKeylimeAgent()
      // Nobody heals it but the daemon.
      const recovered = (): boolean =>
        audit()
          .slice(before)
          .some(({ event, agent_id: agentId }) => event === 'recovered' && agentId === host.agentId)
      await pollUntil('the daemon to have the verifier begin anew', recovered, { deadlineMs: 90_000 })
      await tower().keylime.admin.waitForState(host.agentId, 'polled')
      await svidReturns(host)
    } finally {
      await keep()
    }
  })

  it('sees a verifier that is away, and turns no row red for it [O01] [T34]', async () => {
    await withoutVerifier(async () => {
      const { code, document } = await status()
      expect([code, document.items.map(({ keylime }) => keylime.state)]).toEqual([3, [null, null, null]])
      expect(document.findings.map(({ id }) => id)).toContain('TK-SRC-VERIFIER')
    })
  })

  it('takes the identity of a tampered host away within seconds of the bell [O11] [T56] [T17] [T55] [T36]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('tampered firmware, with towerkeep', ['T17', 'T36', 'T55'])
    await svidReturns(host)
    line.mark('healthy: the workload has its SVID')
    const { issuanceMs, workloadMs } = await measureCutOff(tower(), host)
    line.mark(
      `issuance refused after ${Math.round(issuanceMs)} ms, Workload API gone after ${Math.round(workloadMs)} ms`,
    )
    expect(issuanceMs).toBeLessThan(10_000)
    expect(workloadMs).toBeLessThan(15_000)
    const ran = await runTowerkeep(tower(), ['explain', 'auth', '--output', 'json'])
    const explained = v.parse(EXPLAIN_DOCUMENT, JSON.parse(ran.stdout))
    const broken = explained.items[0]?.chain.find(({ standing }) => standing === 'broken')
    expect(broken).toMatchObject({ link: 'gate', codes: expect.arrayContaining(['KL-GATE-INVALID-QUOTE']) as unknown })
    expect(brokenLink(auditText())).toBeUndefined()
    expect(auditText()).toContain('"action":"ban","cause":"verdict","code":"KL-GATE-INVALID-QUOTE"')
    expect(await tower().spire.agentShow(host.spiffeId)).toMatchObject({ banned: true })
    for (const other of ['ca', 'spire']) expect(await hasSvid(tower().host(other))).toBe(true)
    await restoreHost(tower(), host)
    line.mark('rebooted in good order, ban lifted: the workload has its SVID again, with the same ID')
    line.end()
  })

  it('is cut off too when the verifier tells other agents first, and one of them hangs [O11]', async () => {
    const [host, hung] = [tower().host('auth'), tower().host('ca')]
    const line = new Timeline("notifiers ['agent', 'webhook'], one agent hangs", ['O11'])
    const { keylime } = tower()
    const restartVerifier = async (notifiers: readonly string[]): Promise<void> => {
      await keylime.stop('verifier')
      await keylime.start('verifier', { notifiers })
      for (const one of [host, hung]) await heal(tower(), one)
    }
    try {
      await restartVerifier(['agent', 'webhook'])
      await Promise.all([host, hung].map((one) => svidReturns(one)))
      hung.freezeKeylimeAgent(true)
      await tamper(host)
      line.mark('tampered')
      const ruled = new RegExp(`"a look ended".*"agent_id":"${host.agentId}","how":"cut"`)
      const from = keeper?.process.readLog().length ?? 0
      const before = audit().length
      await pollUntil(
        'auth to be banned',
        async () => (await tower().spire.agentShow(host.spiffeId))?.banned === true,
        {
          deadlineMs: 120_000,
        },
      )
      line.mark('banned, once the verifier had written its record')
      await pollUntil('the look to be over', () => ruled.test(keeper?.process.readLog().slice(from) ?? ''))
      expect(audit().slice(before)).toContainEqual(
        expect.objectContaining({ event: 'done', action: 'ban', cause: 'verdict', agent_id: host.agentId }),
      )
      expect(await hasSvid(tower().host('spire'))).toBe(true)
    } finally {
      hung.freezeKeylimeAgent(false)
      await restoreHost(tower(), host)
      await restartVerifier([])
      await pollUntil('towerkeep to see the verifier', seesVerifier)
      await Promise.all([host, hung].map((one) => svidReturns(one)))
    }
    line.end()
  }, 300_000)

  it('is rung by the verifier alone [O14]', async () => {
    const host = tower().host('spire')
    const { certificates } = tower()
    const call = (cert: string, key: string) =>
      askHttps({
        portal: tower().portal('spire'),
        host: SERVICE_NAMES.spire,
        port: BELL_PORT,
        method: 'POST',
        path: '/keylime',
        body: { msg: JSON.stringify({ type: 'revocation', agent_id: host.agentId }), signature: '' },
        ca: readFileSync(certificates.chain, 'utf8'),
        ...(cert === '' ? {} : { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }),
      })
    await expect(call('', '')).rejects.toThrow(/alert|ECONNRESET|hang up|certificate required/i)
    await expect(call(host.files.pluginCert, host.files.pluginKey)).rejects.toThrow(/alert|ECONNRESET|hang up/i)
    expect((await call(certificates.cert('tenant'), certificates.key('tenant'))).status).toBe(403)
    expect((await call(certificates.cert('verifier'), certificates.key('verifier'))).status).toBe(202)
    expect(await tower().spire.agentShow(host.spiffeId)).toBeDefined()
  })

  it('evicts nobody while the verifier is stopped, and says so once [O13]', async () => {
    // One that was restarted a moment ago: an outage that follows before it was seen to answer is the same one.
    await pollUntil('towerkeep to see the verifier', seesVerifier)
    const before = outages()
    await withoutVerifier(async () => {
      await pollUntil('towerkeep to notice', () => outages() > before)
      await new Promise((resolve) => setTimeout(resolve, 20_000))
      for (const host of tower().hosts.values()) expect(await tower().spire.agentShow(host.spiffeId)).toBeDefined()
      expect(outages() - before).toBe(1)
    })
  })

  it('is told by status and explain what the plugin says in its log [O03] [T77]', async () => {
    const host = tower().host('ca')
    await tamper(host)
    await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    await pollUntil('ca to be banned', async () => (await tower().spire.agentShow(host.spiffeId))?.banned === true)
    const { code, document } = await status('ca')
    expect([code, document.items[0]?.verdict.code]).toEqual([2, 'KL-GATE-INVALID-QUOTE'])
    await tower().spire.evict(host.spiffeId)
    const refusal = await host.spire.target.waitForLog(/PermissionDenied.*KL-GATE-\S+/, 90_000)
    expect(refusal).toContain('KL-GATE-INVALID-QUOTE')
    await restoreHost(tower(), host)
  })
})

/** Does something while the verifier is stopped; however it ends, the verifier runs again and every host has its SVID. */
async function withoutVerifier(during: () => Promise<void>): Promise<void> {
  await tower().keylime.stop('verifier')
  try {
    await during()
  } finally {
    await tower().keylime.start('verifier')
    await Promise.all([...tower().hosts.values()].map((host) => svidReturns(host)))
  }
}

/** What `status` says, and how it ended. */
async function status(...words: readonly string[]) {
  const ran = await runTowerkeep(tower(), ['status', '--output', 'json', '--timeout', '3s', ...words])
  return { code: ran.code, document: v.parse(STATUS_DOCUMENT, JSON.parse(ran.stdout)) }
}
