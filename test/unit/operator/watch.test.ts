import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { EXPLAIN_DOCUMENT } from '../../../operator/schemas/reading.ts'
import { brokenLink } from '../../../operator/watch/audit.ts'
import { type FakeSite, startFakeSite, towerkeep } from './towerkeep.ts'
import { reconfigure, ringBell, startWatch, type WatchDaemon } from './watch-daemon.ts'

const spiffeId = (agentId: string): string => `spiffe://example.org/spire/agent/keylime/${agentId}`
const isBanned = (site: FakeSite, agentId: string): boolean | undefined =>
  site.spire.agents.get(spiffeId(agentId))?.banned
const FAILED = { operational_state: 9, last_event_id: 'pcr_validation.invalid_pcr_7' }

describe('watch', () => {
  it('bans a host that its verifier rings for and fails, and no other [P25]', async () => {
    await using site = await startFakeSite({ nodes: 3 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "60s"')
    const [bad, good] = site.keylime.nodes.map(({ agentId }) => agentId)
    const verifier = await site.keylime.ca.issue('the-verifier')
    site.keylime.verifier.set(bad ?? '', FAILED)
    expect(await ringBell(daemon, site, { agentId: bad ?? '', certificate: verifier })).toBe(202)
    await expect.poll(() => isBanned(site, bad ?? ''), { timeout: 5_000 }).toBe(true)
    expect(isBanned(site, good ?? '')).toBe(false)
    expect(site.spire.callsOf('DeleteAgent')).toEqual([])
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('a host is cut off')
    const audit = readFileSync(daemon.auditFile, 'utf8')
    expect(brokenLink(audit)).toBeUndefined()
    expect(audit).toMatch(/"event":"decided".*"action":"ban","cause":"verdict","code":"KL-GATE-INVALID-QUOTE"/)
    expect(audit).toMatch(/"event":"done".*"outcome":"banned"/)
  })

  it('has a connection to the verifier ready when the bell rings: a look waits for no handshake', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "5s"')
    const { stats } = site.keylime.verifier
    const rounds = (): number => stats.requests['bulk'] ?? 0
    await expect.poll(rounds, { timeout: 10_000 }).toBeGreaterThanOrEqual(2)
    const [opened, done] = [stats.connections, rounds()]
    await expect.poll(rounds, { timeout: 15_000 }).toBeGreaterThan(done)
    expect([stats.connections, daemon.log()]).toEqual([opened, expect.not.stringContaining('does not answer')])
  })

  it("starts the operator's program for each event, and one after the other for many", async () => {
    await using site = await startFakeSite({ nodes: 20 })
    const told = join(site.folder, 'told')
    const script = `echo $TOWERKEEP_EVENT $TOWERKEEP_AGENT_ID >> ${told}`
    const command = `notify_command = ["/bin/sh", "-c", "${script}"]`
    await using daemon = await startWatch(site, `mode = "ban"\n  poll = "500ms"\n  ${command}`)
    const ids = site.keylime.nodes.map(({ agentId }) => agentId)
    for (const agentId of ids) site.keylime.verifier.set(agentId, FAILED)
    const lines = (event: string): readonly string[] =>
      readFileSync(told, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith(`${event} `))
        .toSorted()
    await expect.poll(() => lines('done'), { timeout: 15_000 }).toEqual(ids.map((id) => `done ${id}`).toSorted())
    expect(daemon.log()).not.toContain('notify_command failed')
    await expect.poll(() => lines('decided')).toEqual(ids.map((id) => `decided ${id}`).toSorted())
  })

  it('waits for the record where the bell comes before it [watch:bell:before-record]', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "60s"')
    const { agentId } = site.keylime.node()
    const verifier = await site.keylime.ca.issue('the-verifier')
    const reads = (): number => site.keylime.verifier.stats.requests['agent'] ?? 0
    await ringBell(daemon, site, { agentId, certificate: verifier })
    await expect.poll(reads, { timeout: 5_000 }).toBeGreaterThanOrEqual(4)
    expect(isBanned(site, agentId)).toBe(false)
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => isBanned(site, agentId), { timeout: 5_000 }).toBe(true)
  })

  it('bans a host that attested just before its failure, which the bell was too early for', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    site.spire.agents.clear()
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "60s"')
    const verifier = await site.keylime.ca.issue('the-verifier')
    site.keylime.verifier.set(agentId, FAILED)
    site.spire.attest(agentId)
    expect(await ringBell(daemon, site, { agentId, certificate: verifier })).toBe(202)
    await expect.poll(() => isBanned(site, agentId), { timeout: 15_000 }).toBe(true)
  })

  it('finds failures by polling alone, and those that were there before it started', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    const [early, late] = site.keylime.nodes.map(({ agentId }) => agentId)
    site.keylime.verifier.set(early ?? '', FAILED)
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    await expect.poll(() => isBanned(site, early ?? ''), { timeout: 5_000 }).toBe(true)
    site.keylime.verifier.set(late ?? '', { ...FAILED, operational_state: 10 })
    await expect.poll(() => isBanned(site, late ?? ''), { timeout: 5_000 }).toBe(true)
    expect(daemon.process.exitCode).toBeNull()
  })

  it('evicts a host that went absent or that no verifier knows any more, and bans none for it', async () => {
    await using site = await startFakeSite({ nodes: 8 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const [silent = '', forgotten = '', ...others] = site.keylime.nodes.map(({ agentId }) => agentId)
    site.keylime.verifier.set(silent, { operational_state: 7, last_event_id: 'internal.verifier.not_reachable' })
    site.keylime.verifier.remove(forgotten)
    await expect.poll(() => site.spire.agents.size, { timeout: 10_000 }).toBe(6)
    expect(others.every((agentId) => site.spire.agents.has(spiffeId(agentId)))).toBe(true)
    expect(site.spire.callsOf('BanAgent')).toEqual([])
    expect(daemon.log()).not.toContain('the brake is on')
  })

  it('only says what it would do in mode observe, once [watch:mode:observe]', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "observe"\n  poll = "500ms"')
    const { agentId } = site.keylime.node()
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('would ban a host')
    const asked = (): number => site.keylime.verifier.stats.requests['bulk'] ?? 0
    const rounds = asked()
    await expect.poll(asked, { timeout: 10_000 }).toBeGreaterThan(rounds + 3)
    expect(daemon.log().match(/would ban a host/g)).toHaveLength(1)
    expect([isBanned(site, agentId), site.spire.callsOf('BanAgent').length]).toEqual([false, 0])
    expect(readFileSync(daemon.auditFile, 'utf8')).toContain('"event":"would"')
    // Well again, and failed anew for the same reason: that is news.
    site.keylime.verifier.set(agentId, { operational_state: 3, attestation_status: 'PASS', last_event_id: undefined })
    const healed = asked()
    await expect.poll(asked, { timeout: 10_000 }).toBeGreaterThan(healed + 2)
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => daemon.log().match(/would ban a host/g), { timeout: 5_000 }).toHaveLength(2)
  })

  it('brakes when hosts go absent together, alerts once, evicts none, and goes on about verdicts [O13]', async () => {
    await using site = await startFakeSite({ nodes: 6 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const [first = '', ...rest] = site.keylime.nodes.map(({ agentId }) => agentId)
    for (const agentId of rest) {
      site.keylime.verifier.set(agentId, { operational_state: 7, last_event_id: 'internal.verifier.not_reachable' })
    }
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('the brake is on')
    site.keylime.verifier.set(first, FAILED)
    await expect.poll(() => isBanned(site, first), { timeout: 5_000 }).toBe(true)
    expect(site.spire.agents.size).toBe(6)
    expect(site.spire.callsOf('DeleteAgent')).toEqual([])
    expect(daemon.log().match(/the brake is on/g)).toHaveLength(1)
    expect(await (await daemon.get('/metrics')).text()).toContain('\ntowerkeep_brake 1\n')
    for (const agentId of rest) site.keylime.verifier.set(agentId, { operational_state: 3, last_event_id: undefined })
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('the brake is off')
  })

  it('concludes nothing while a verifier is away, and alerts once', async () => {
    await using site = await startFakeSite({ nodes: 2, verifiers: 2 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    await site.keylime.verifier.close()
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('a source does not answer')
    const metrics = async (): Promise<string> => (await daemon.get('/metrics')).text()
    expect(await metrics()).toContain('towerkeep_source_up{source="verifier"} 0')
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    expect([site.spire.callsOf('DeleteAgent'), site.spire.callsOf('BanAgent')]).toEqual([[], []])
    expect(daemon.log().match(/a source does not answer/g)).toHaveLength(1)
  })

  it('keeps a cut-off until the SPIRE server is back [watch:act:pending]', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const { agentId } = site.keylime.node()
    site.spire.stop()
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => daemon.log(), { timeout: 10_000 }).toContain('a cut-off is not done yet')
    expect(await (await daemon.get('/metrics')).text()).toContain('\ntowerkeep_cutoffs_pending 1\n')
    await site.spire.start()
    await expect.poll(() => isBanned(site, agentId), { timeout: 10_000 }).toBe(true)
  })

  it('is not rung by anybody else: no certificate, another name, another CA, rubbish, a flood [O14]', async () => {
    await using site = await startFakeSite({ nodes: 4 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "60s"')
    const { ca, pki } = site.keylime
    const [bad = '', other = ''] = site.keylime.nodes.map(({ agentId }) => agentId)
    site.keylime.verifier.set(bad, FAILED)
    const verifier = await ca.issue('the-verifier')
    const others = [await ca.issue('auth.example.org'), await ca.issue('tenant')]
    expect(await ringBell(daemon, site, { agentId: bad })).toMatch(/^(ECONNRESET|EPIPE|ERR_SSL_\w+)$/)
    const foreign = await (await pki.root('another CA')).issue('the-verifier')
    expect(await ringBell(daemon, site, { agentId: bad, certificate: foreign })).toMatch(
      /^(ECONNRESET|EPIPE|ERR_SSL_\w+)$/,
    )
    for (const certificate of others) expect(await ringBell(daemon, site, { agentId: bad, certificate })).toBe(403)
    const huge = await ringBell(daemon, site, { body: Buffer.alloc(1_048_576, 97), certificate: verifier })
    expect([400, 'ECONNRESET', 'EPIPE']).toContain(huge)
    expect(await ringBell(daemon, site, { body: '{"msg": "{}"}', certificate: verifier })).toBe(400)
    expect(isBanned(site, bad)).toBe(false)
    const agent = new TlsAgent({ keepAlive: true, maxSockets: 16 })
    const rings = Array.from({ length: 10_000 }, (_, index) =>
      ringBell(daemon, site, { agentId: index % 2 === 0 ? other : `node-${index}`, certificate: verifier }, agent),
    )
    const answers = new Set(await Promise.all(rings))
    agent.destroy()
    expect([...answers]).toEqual([202])
    expect(await ringBell(daemon, site, { agentId: bad, certificate: verifier })).toBe(202)
    await expect.poll(() => isBanned(site, bad), { timeout: 5_000 }).toBe(true)
    expect([isBanned(site, other), site.spire.callsOf('DeleteAgent')]).toEqual([false, []])
  })

  it('lifts a ban for a person only when the gate admits a newer success', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const { agentId } = site.keylime.node()
    expect(await order(daemon, `/revoke?host=${agentId}`, 'stolen')).toMatchObject({ status: 200 })
    await expect.poll(() => isBanned(site, agentId)).toBe(true)
    const early = await order(daemon, `/restore?host=${agentId}`)
    expect(early).toEqual({ status: 409, body: { error: 'its last success is older than the ban' } })
    site.keylime.verifier.set(agentId, { last_successful_attestation: Math.floor(Date.now() / 1000) + 2 })
    await expect
      .poll(async () => (await order(daemon, `/restore?host=${agentId}`)).status, { timeout: 10_000 })
      .toBe(200)
    expect(site.spire.agents.has(spiffeId(agentId))).toBe(false)
    expect([mode(daemon.readSocket), mode(daemon.adminSocket)]).toEqual(['660', '600'])
  })

  it('takes a new configuration at SIGHUP, and keeps the old one when it is wrong', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "observe"\n  poll = "500ms"')
    const { agentId } = site.keylime.node()
    const text = readFileSync(site.config, 'utf8')
    reconfigure(site, text.replace('observe', 'banish'))
    daemon.process.kill('SIGHUP')
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('the old one stays in force')
    expect(daemon.log()).toMatch(/:\d+:\d+: watch\.mode: /)
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('would ban a host')
    reconfigure(site, text.replace('observe', 'ban'))
    daemon.process.kill('SIGHUP')
    await expect.poll(() => isBanned(site, agentId), { timeout: 5_000 }).toBe(true)
  })

  it('ends when one of its sockets cannot be opened, and leaves nothing behind that looks alive', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const daemon = await startWatch(site)
    await daemon.stop()
    writeFileSync(join(site.folder, 'plain'), '')
    reconfigure(site, readFileSync(site.config, 'utf8').replace(daemon.adminSocket, join(site.folder, 'plain/x.sock')))
    const ran = await towerkeep('watch', '--config', site.config)
    expect([ran.exit, ran.stderr]).toEqual([70, expect.stringContaining('plain')])
  })

  it('cuts off whatever becomes of the program that is to be told', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    writeFileSync(join(site.folder, 'plain'), '')
    const command = `notify_command = ["${join(site.folder, 'plain/notify')}"]`
    await using daemon = await startWatch(site, `mode = "ban"\n  poll = "500ms"\n  ${command}`)
    const { agentId } = site.keylime.node()
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => isBanned(site, agentId), { timeout: 5_000 }).toBe(true)
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('notify_command cannot be started')
    expect(daemon.process.exitCode).toBeNull()
  })

  it('drops what a server has not done yet when it is told to observe', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const { agentId } = site.keylime.node()
    site.spire.failures.set('BanAgent', [status.UNAVAILABLE, 'away'])
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('a cut-off is not done yet')
    const findings = async (): Promise<string> => (await daemon.get('/status.json')).text()
    expect(await findings()).toContain('TK-WATCH-PENDING')
    reconfigure(site, readFileSync(site.config, 'utf8').replace('"ban"', '"observe"'))
    daemon.process.kill('SIGHUP')
    await expect
      .poll(async () => (await daemon.get('/metrics')).text(), { timeout: 5_000 })
      .toContain('\ntowerkeep_cutoffs_pending 0\n')
    site.spire.failures.delete('BanAgent')
    expect(await findings()).not.toContain('TK-WATCH-PENDING')
    expect(isBanned(site, agentId)).toBe(false)
  })

  it('takes a new brake at SIGHUP', async () => {
    await using site = await startFakeSite({ nodes: 6 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"\n  brake_percent = 100')
    reconfigure(site, readFileSync(site.config, 'utf8').replace('brake_percent = 100', 'brake_percent = 20'))
    daemon.process.kill('SIGHUP')
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('were read again')
    for (const { agentId } of site.keylime.nodes) site.keylime.verifier.set(agentId, { operational_state: 7 })
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toContain('the brake is on')
    expect(site.spire.callsOf('DeleteAgent')).toEqual([])
  })

  it('bans for a person only an agent that SPIRE knows, and says what it has not done yet', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const [gone = '', here = ''] = site.keylime.nodes.map(({ agentId }) => agentId)
    site.spire.agents.delete(spiffeId(gone))
    expect(await order(daemon, `/revoke?host=${gone}`, 'stolen')).toEqual({
      status: 409,
      body: { error: expect.stringContaining('cannot be banned before it attests') as unknown },
    })
    site.spire.failures.set('BanAgent', [status.UNAVAILABLE, 'away'])
    const pending = await order(daemon, `/revoke?host=${here}`, 'stolen')
    expect(pending).toEqual({ status: 202, body: expect.objectContaining({ pending: true }) as unknown })
    site.spire.failures.delete('BanAgent')
    await expect.poll(() => isBanned(site, here), { timeout: 5_000 }).toBe(true)
    site.keylime.verifier.set(here, { last_successful_attestation: Math.floor(Date.now() / 1000) + 2 })
    site.spire.failures.set('DeleteAgent', [status.UNAVAILABLE, 'away'])
    await expect
      .poll(async () => order(daemon, `/restore?host=${here}`), { timeout: 10_000 })
      .toEqual({ status: 502, body: { error: expect.stringContaining('the ban is not lifted everywhere') as unknown } })
    expect(await (await daemon.get('/denied.json')).text()).toContain(here)
    site.spire.failures.delete('DeleteAgent')
    expect(await order(daemon, `/restore?host=${here}`)).toMatchObject({ status: 200 })
    expect(readFileSync(daemon.auditFile, 'utf8')).toContain('"event":"restored"')
  })

  it('denies a host that somebody else has banned, healthy or not', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    site.spire.attest(agentId, { banned: true, x509svidSerialNumber: '' })
    await using daemon = await startWatch(site)
    await expect.poll(async () => (await daemon.get('/denied.json')).text(), { timeout: 5_000 }).toContain(agentId)
  })

  it('ends at SIGTERM with 0, and refuses to be open beyond this machine without TLS', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const daemon = await startWatch(site)
    await daemon.stop()
    expect(daemon.process.exitCode).toBe(0)
    reconfigure(
      site,
      readFileSync(site.config, 'utf8').replace(/http_address = "127\.0\.0\.1/, 'http_address = "0.0.0.0'),
    )
    const ran = await towerkeep('watch', '--config', site.config)
    expect(ran.exit).toBe(64)
    expect(ran.stderr).toMatch(
      /open beyond this machine: listen on 127\.0\.0\.1, or set http_cert_file.*\[TK-WATCH-LISTEN\]/,
    )
  })
})

describe('what the daemon serves', () => {
  it('is what status shows to people who have no keys themselves', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    await using daemon = await startWatch(site, 'mode = "observe"')
    const config = join(site.folder, 'people.hcl')
    writeFileSync(config, `watch {\n  read_socket = "${daemon.readSocket}"\n}\n`)
    const { agentId } = site.keylime.node()
    const ran = await towerkeep('status', agentId, '--config', config)
    expect(ran.stdout).toContain('admit')
    expect(ran.stdout).toContain('TK-WATCH-OBSERVE')
    expect(ran.exit).toBe(0)
    // However new the last look is: what happened before the question is in the answer.
    site.keylime.verifier.set(agentId, FAILED)
    const failed = await towerkeep('status', agentId, '--config', config)
    expect([failed.exit, failed.stdout]).toEqual([2, expect.stringContaining('KL-GATE-INVALID-QUOTE')])
    await daemon.stop()
    expect((await towerkeep('status', agentId, '--config', config)).exit).toBe(3)
  })

  it('is what explain says to people who have no keys themselves', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    const agent = await site.keylime.startAgent()
    site.keylime.verifier.set(agentId, { port: agent.port, operational_state: 9, last_event_id: 'quote_validation' })
    const own = await towerkeep('explain', agentId, '--config', site.config)
    await using daemon = await startWatch(site, 'mode = "observe"')
    const config = join(site.folder, 'people.hcl')
    writeFileSync(config, `watch {\n  read_socket = "${daemon.readSocket}"\n}\n`)
    const ran = await towerkeep('explain', agentId, '--config', config)
    expect([ran.exit, withoutTimes(ran.stdout)]).toEqual([own.exit, withoutTimes(own.stdout)])
    expect(ran.stdout).toContain('first broken link: gate')
    const document = v.parse(
      EXPLAIN_DOCUMENT,
      JSON.parse((await towerkeep('explain', agentId, '--config', config, '-o', 'json')).stdout),
    )
    expect(document.items[0]?.chain.find(({ standing }) => standing === 'broken')?.codes).toContain(
      'KL-GATE-INVALID-QUOTE',
    )
    const unknown = await towerkeep('explain', 'nobody', '--config', config)
    expect([unknown.exit, unknown.stderr]).toEqual([64, expect.stringContaining('is no code and names no host')])
  })

  it('is what Prometheus scrapes: state, age, count, life left, for each host [T57]', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    const agent = await site.keylime.startAgent()
    site.keylime.verifier.set(agent.agentId, { port: agent.port })
    await using daemon = await startWatch(site)
    const scrape = async (): Promise<string> => (await daemon.get('/metrics')).text()
    await expect
      .poll(scrape, { timeout: 10_000 })
      .toMatch(/^towerkeep_certificate_remaining_ratio\{host="\S+",use="keylime-agent"\} (1|0\.99\d*)$/m)
    const text = await scrape()
    for (const { agentId } of site.keylime.nodes) {
      for (const [name, value] of [
        ['host_state', '3'],
        ['host_last_success_age_seconds', '[0-9]'],
        ['host_attestations_total', '23'],
        ['host_svid_remaining_seconds', '3[0-9]{3}'],
      ]) {
        expect(text).toMatch(new RegExp(`^towerkeep_${name}\\{agent_id="${agentId}"\\} ${value}`, 'm'))
      }
    }
    expect(text).toContain('\ntowerkeep_hosts{state="admitted"} 2\n')
  })

  it('goes on after kill -9 between a ban and its verification: the next start finds and keeps it [O27]', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    const first = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => isBanned(site, agentId), { interval: 10, timeout: 5_000 }).toBe(true)
    await first.stop('SIGKILL')
    // The attestation that was in flight lands while nobody watches.
    site.spire.attest(agentId)
    await using second = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    await expect.poll(() => isBanned(site, agentId), { timeout: 5_000 }).toBe(true)
    expect(brokenLink(readFileSync(second.auditFile, 'utf8'))).toBeUndefined()
  })

  it.each([
    ['the disk is full', (file: string) => symlinkSync('/dev/full', file), /the audit log fails.*ENOSPC/],
    ['it is no file', (file: string) => mkdirSync(file), /the audit log fails.*cannot be written/],
  ])('acts although its audit log cannot be written, and says so: %s [O27]', async (_what, spoil, said) => {
    await using site = await startFakeSite({ nodes: 1 })
    const { agentId } = site.keylime.node()
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    rmSync(daemon.auditFile, { force: true })
    spoil(daemon.auditFile)
    site.keylime.verifier.set(agentId, FAILED)
    await expect.poll(() => isBanned(site, agentId), { timeout: 5_000 }).toBe(true)
    await expect.poll(() => daemon.log(), { timeout: 5_000 }).toMatch(said)
  })

  it('is a page that is whole without JavaScript and lets nothing in from elsewhere', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    await using daemon = await startWatch(site)
    const answer = await daemon.get('/')
    const page = await answer.text()
    expect(answer.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'self'; script-src 'self'/,
    )
    expect(page).not.toMatch(/<script>|style=|onclick|http:|https:/)
    for (const { agentId } of site.keylime.nodes) expect(page).toContain(agentId)
    expect(page).toContain('<noscript><meta http-equiv="refresh"')
    expect((await daemon.get('/live')).status).toBe(200)
    expect((await daemon.get('/nowhere')).status).toBe(404)
    expect((await (await daemon.get('/status.json')).json()) as object).toMatchObject({ schema: 'towerkeep/status/v1' })
  })

  it('tells listeners when something changes', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const answer = await daemon.get('/events')
    const reader = answer.body?.getReader()
    let text = ''
    while (!text.includes('event: change')) text += Buffer.from((await reader?.read())?.value ?? []).toString()
    await reader?.cancel()
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
  })

  it('lists who is cut off, signed and with an ETag', async () => {
    await using site = await startFakeSite({ nodes: 1 })
    await using daemon = await startWatch(site, 'mode = "ban"\n  poll = "500ms"')
    const { agentId } = site.keylime.node()
    const empty = await daemon.get('/denied.json')
    expect(await empty.json()).toMatchObject({ denied: [] })
    site.keylime.verifier.set(agentId, FAILED)
    await expect
      .poll(async () => (await (await daemon.get('/denied.json')).json()) as object, { timeout: 5_000 })
      .toMatchObject({
        denied: [{ agent_id: agentId, reason: 'KL-GATE-INVALID-QUOTE' }],
      })
    const full = await daemon.get('/denied.json')
    expect(full.headers.get('etag')).not.toBe(empty.headers.get('etag'))
    expect(full.headers.get('towerkeep-signature')).toMatch(/^[A-Za-z0-9+/=]{60,}$/)
  })
})

function withoutTimes(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'then')
    .replaceAll(/\b\d+ ?(?:ms|s|m|h|d)\b/g, 'a while')
    .replaceAll(/ +/g, ' ')
}

function mode(path: string): string {
  return (statSync(path).mode & 0o777).toString(8)
}

/** Gives an order on the admin socket. */
function order(daemon: WatchDaemon, path: string, body = ''): Promise<{ status: number; body: unknown }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: unknown }>()
  const options = { socketPath: daemon.adminSocket, path, method: 'POST', agent: new Agent({ keepAlive: false }) }
  const sent = request(options, (answer) => {
    let text = ''
    answer.on('data', (chunk) => {
      text += String(chunk)
    })
    answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) as unknown }))
  })
  sent.on('error', reject)
  sent.end(body)
  return promise
}
