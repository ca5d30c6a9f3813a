import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { PINNED_PCR, type Rig } from '../lab/one-host/rig.ts'
import { freePorts } from '../lab/processes/ports.ts'
import { refusalsIn, startAndAttest, startAndBeRefused, startHost, stopAndForget } from './host.ts'

let rig: Rig

beforeAll(async () => {
  rig = await startHost({
    name: 'verdicts',
    quoteInterval: 1,
    agent: { syncInterval: '1s' },
    server: { plugin: { data: { max_attestation_age: '20s' } } },
  })
})
afterAll(() => rig.stop())
afterEach(async () => {
  await stopAndForget(rig.spireAgent)
  await rig.keylime.admin.unenrol(rig.agentId)
})

/** Evicts the SPIRE agent, which then attests again at once, and gives what it is told when it is refused. */
async function evictAndBeRefused(): Promise<{ code: string; message: string; log: string }> {
  const before = rig.spireAgent.readLog().length
  await rig.spireServer.evict(rig.spiffeId)
  await rig.spireAgent.waitForExit()
  const log = rig.spireAgent.readLog().slice(before)
  return { ...(refusalsIn(log).at(-1) ?? { code: 'none', message: 'none' }), log }
}

describe('a node that Keylime has admitted and then fails', () => {
  it('is refused when its pinned PCR changes: state 9 within 10 s, and its SPIRE agent drops its SVID and ends [T17] [C57] [T33]', async () => {
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    const begun = performance.now()
    const entry = await rig.tamper()
    expect(performance.now() - begun).toBeLessThan(10_000)
    expect(entry.lastEventId).toBe(`pcr_validation.invalid_pcr_${PINNED_PCR}`)
    const refused = await evictAndBeRefused()
    expect(refused).toMatchObject({ code: 'PermissionDenied', message: expect.stringContaining('state 9') as string })
    expect(refused.log).toContain('Agent failed re-attestation; removing SVID and shutting down')
    expect(await rig.spireServer.agentShow(rig.spiffeId)).toBeUndefined()
    await expect(rig.spireAgent.fetchX509()).rejects.toThrow('the workload got no SVID')
  })

  it('gets its old SPIFFE ID back after a reboot and its reactivation [T35]', async () => {
    await rig.reboot()
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    await rig.tamper()
    expect(await evictAndBeRefused()).toMatchObject({ code: 'PermissionDenied' })
    await rig.reboot()
    await rig.keylime.admin.reactivate(rig.agentId)
    await rig.keylime.admin.waitForState(rig.agentId, 'polled')
    await startAndAttest(rig.spireAgent)
    expect((await rig.spireServer.agentShow(rig.spiffeId))?.can_reattest).toBe(true)
  })

  it('is refused once the verifier is told to stop it, and a SPIRE agent that starts then exits at once [C56] [T33]', async () => {
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    await rig.keylime.admin.stopAgent(rig.agentId)
    const stopped = await evictAndBeRefused()
    expect(stopped).toMatchObject({ code: 'PermissionDenied', message: expect.stringContaining('state 10') as string })
    await rig.spireAgent.forget()
    const again = await startAndBeRefused(rig.spireAgent)
    expect(again).toMatchObject({ code: 'PermissionDenied', message: expect.stringContaining('state 10') as string })
    await rig.spireAgent.waitForExit()
    expect(refusalsIn(rig.spireAgent.readLog()).every(({ code }) => code === 'PermissionDenied')).toBe(true)
  })
})

describe('a healthy node', () => {
  it('is back within 10 s of its eviction, same process, same SPIFFE ID, and serves its workload again [C57] [T35]', async () => {
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    const before = await rig.spireServer.agentShow(rig.spiffeId)
    await rig.spireServer.evict(rig.spiffeId)
    await rig.spireAgent.waitForLog(
      /Successfully reattested node|Successfully rotated agent SVID|Node attestation was successful[\s\S]*Node attestation was successful/,
      10_000,
    )
    const after = await rig.spireServer.agentShow(rig.spiffeId)
    expect(after?.x509svid_serial_number).not.toBe(before?.x509svid_serial_number)
    expect(rig.spireAgent.process().exit()).toBeUndefined()
    const workload = await rig.createWorkload('back')
    await rig.spireAgent.waitForSvid(workload)
  })

  it('stays out while it is banned, and attests again once the ban is lifted [C58] [T33]', async () => {
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    await rig.spireServer.ban(rig.spiffeId)
    await rig.spireAgent.waitForExit()
    expect(rig.spireAgent.readLog()).toContain('Agent is banned: removing SVID and shutting down')
    await rig.spireAgent.forget()
    rig.spireAgent.start()
    await rig.spireAgent.waitForExit()
    expect(rig.spireAgent.readLog()).toMatch(/PermissionDenied[^\n]*agent is banned/)
    await rig.spireServer.evict(rig.spiffeId)
    await rig.spireAgent.forget()
    await startAndAttest(rig.spireAgent)
  })
})

describe('a node Keylime knows too little about', () => {
  it('waits while its Keylime agent was never reached: state without a single quote is no trust [T78] [T32]', async () => {
    await rig.enrol({ port: await freePorts(), wait: false })
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal.code).toBe('FailedPrecondition')
    expect(refusal.message).toMatch(/no quote|never|count 0|not attested/)
    expect(rig.spireAgent.process().exit()).toBeUndefined()
  })

  it('is told "not yet" while it cannot be reached, and comes back when it is reactivated [T32]', async () => {
    await rig.enrol()
    await rig.keylimeAgent.stop()
    await rig.keylime.admin.waitForState(rig.agentId, 'failed')
    await rig.keylimeAgent.start()
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal).toMatchObject({ code: 'FailedPrecondition', message: expect.stringContaining('state 7') as string })
    await rig.keylime.admin.reactivate(rig.agentId)
    await rig.spireAgent.healthy()
  })

  it("is refused on age when its record was frozen at state 3 behind the verifier's back [T77]", async () => {
    await rig.enrol()
    await rig.keylime.admin.waitForState(rig.agentId, 'polled')
    await rig.keylime.admin.stopAgent(rig.agentId)
    await rig.keylime.admin.waitForState(rig.agentId, 'stopped')
    const database = new DatabaseSync(join(rig.dir, 'keylime', 'kl', 'cv_data.sqlite'))
    database.exec('PRAGMA busy_timeout = 5000')
    const old = Math.floor(Date.now() / 1000) - 40
    database
      .prepare(
        'UPDATE verifiermain SET operational_state = 3, last_successful_attestation = ?, last_received_quote = ? WHERE agent_id = ?',
      )
      .run(old, old, rig.agentId)
    database.close()
    expect((await rig.keylime.admin.enrolled(rig.agentId))?.operationalState).toBe(3)
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal.code).toBe('FailedPrecondition')
    expect(refusal.message).toMatch(/last success.*20 s|older|stale/)
  })
})

describe('a policy that checks nothing', () => {
  it('admits, with the selector that says so: masked PCRs without values [T79]', async () => {
    await rig.enrol({ policy: { mask: '0x90' } })
    await startAndAttest(rig.spireAgent)
    const shown = await rig.spireServer.agentShow(rig.spiffeId)
    const values = shown?.selectors.map(({ value }) => value) ?? []
    expect(values).toContain('policy:none')
    expect(values.filter((value) => value.startsWith('policy:pcr'))).toEqual([])
  })

  it('is refused where require_policy asks for PCRs, until they have values [T79]', async () => {
    const server = await rig.newServer({ name: 'strict', plugin: { data: { require_policy: ['pcr'] } } })
    await server.start()
    const agent = await rig.newAgent(server, { name: 'strict' })
    await rig.enrol({ policy: { mask: '0x90' } })
    const refusal = await startAndBeRefused(agent)
    expect(refusal).toMatchObject({ code: 'PermissionDenied', message: expect.stringContaining('policy') as string })
    await agent.waitForExit()
    await rig.keylime.admin.unenrol(rig.agentId)
    await rig.enrol()
    await agent.forget()
    await startAndAttest(agent)
    await agent.stop()
    await server.stop()
  })
})

describe('wait_for_attestation', () => {
  it('holds the attestation of a node that is enrolled meanwhile, so that it is never refused', async () => {
    const server = await rig.newServer({ name: 'patient', plugin: { data: { wait_for_attestation: '40s' } } })
    await server.start()
    const agent = await rig.newAgent(server, { name: 'patient' })
    agent.start()
    await server.waitForLog(/Node is not attested yet, waiting/)
    await rig.enrol()
    await agent.healthy()
    expect(refusalsIn(agent.readLog())).toEqual([])
    await agent.stop()
    await server.stop()
  })
})
