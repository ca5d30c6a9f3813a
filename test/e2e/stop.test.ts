import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { pollUntil } from '../lab/processes/poll.ts'
import type { RigProcess } from '../lab/processes/processes.ts'
import { linesOf, pluginOf, startAndAttest, startAndBeRefused, startHost, stopAndForget } from './host.ts'

let rig: Rig

beforeAll(async () => {
  rig = await startHost({ name: 'stop', quoteInterval: 1, agent: { syncInterval: '1s' } })
  await rig.enrol()
})
afterAll(() => rig.stop())
afterEach(() => stopAndForget(rig.spireAgent))

async function gone(host: RigProcess): Promise<void> {
  await pollUntil(`${host.name} and its plugin to end`, () => host.members().length === 0, { deadlineMs: 15_000 })
}

describe('the plugins of SPIRE processes that end', () => {
  it.each([
    { by: 'SIGTERM to spire-server', signalTo: (pid: number): number => pid },
    { by: 'SIGTERM to its whole group, as systemd sends it', signalTo: (pid: number): number => -pid },
  ])('leave no process, no socket and no error line behind after $by [C61]', async ({ signalTo }) => {
    if (rig.spireServer.process().exit() !== undefined) await rig.spireServer.start()
    await startAndAttest(rig.spireAgent)
    const server = rig.spireServer.process()
    const agent = rig.spireAgent.process()
    expect(readdirSync(rig.spireServer.tmpDir)).not.toEqual([])
    for (const host of [agent, server]) {
      process.kill(signalTo(host.pid), 'SIGTERM')
      await gone(host)
      const log = host.readLog()
      expect(linesOf(log, /msg="Plugin deinitialized" external=true/)).toHaveLength(1)
      expect(linesOf(log, /msg="Plugin unloaded" external=true/)).toHaveLength(1)
      expect(linesOf(log, /level=error[^\n]*(plugin|keylime)/)).toEqual([])
      expect(linesOf(log, /plugin failed to exit gracefully/)).toEqual([])
    }
    expect(readdirSync(rig.spireServer.tmpDir)).toEqual([])
    expect(readdirSync(rig.spireAgent.tmpDir)).toEqual([])
    expect(existsSync(rig.spireServer.socketPath)).toBe(false)
  })

  it('end with a spire-server that is killed outright', async () => {
    await rig.spireServer.start()
    const server = rig.spireServer.process()
    expect(server.members()).toContain(pluginOf(server))
    server.kill('SIGKILL')
    await gone(server)
    expect(server.members()).toEqual([])
  })
})

describe('a spire-server whose plugin is killed', () => {
  it("stays up, refuses attestations as Unavailable under the plugin's name, and works again after a restart [C60]", async () => {
    await rig.spireServer.start()
    const server = rig.spireServer.process()
    process.kill(pluginOf(server), 'SIGKILL')
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal).toEqual({ code: 'Unavailable', message: expect.stringContaining('connection') as string })
    expect(server.exit()).toBeUndefined()
    expect((await rig.spireServer.cli('healthcheck')).stdout).toContain('Server is healthy')
    await rig.spireServer.stop()
    await rig.spireServer.start()
    await rig.spireAgent.healthy()
  })
})

describe('a spire-server that comes back with another CA while an agent is off', () => {
  it('gets its agent back with rebootstrap_mode = "auto", attested anew under the same SPIFFE ID [T90] [P15]', async () => {
    const server = await rig.newServer({ name: 'new-ca' })
    await server.start()
    const more = { rebootstrap_mode: 'auto', rebootstrap_delay: '1s' }
    const agent = await rig.newAgent(server, { name: 'new-ca', more })
    await startAndAttest(agent)
    await agent.stop()
    await server.stop()
    const data = join(rig.dir, 'spire-server-new-ca', 'data')
    for (const file of readdirSync(data)) rmSync(join(data, file))
    await server.start()
    // What an operator's tooling does: the new bundle lies where agent.conf says; the agent still has the old one.
    await server.writeBundle(join(rig.dir, 'spire-agent-new-ca-bundle.pem'))
    expect(await server.agentList()).toEqual([])
    agent.start()
    await agent.healthy()
    expect(linesOf(agent.readLog(), /[Rr]ebootstrap/)).not.toEqual([])
    expect(await server.agentShow(rig.spiffeId)).toBeDefined()
    await agent.stop()
    await server.stop()
  })
})

describe('a verifier that is down', () => {
  it('means no new identity, as Unavailable, and an attestation as soon as it is back [T60] [C56]', async () => {
    await rig.keylime.stop('verifier')
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal).toEqual({ code: 'Unavailable', message: expect.stringContaining('keylime verifier') as string })
    await rig.spireAgent.waitForLog(/nodeattestor\(keylime\)[\s\S]*nodeattestor\(keylime\)/, 20_000)
    expect(rig.spireAgent.process().exit()).toBeUndefined()
    await expect(rig.spireAgent.fetchX509()).rejects.toThrow('the workload got no SVID')
    await rig.keylime.start('verifier')
    await rig.spireAgent.healthy()
  })

  it('leaves a workload the SVID it has [T60]', async () => {
    await startAndAttest(rig.spireAgent)
    const spiffeId = await rig.createWorkload('during-outage')
    await rig.spireAgent.waitForSvid(spiffeId)
    await rig.keylime.stop('verifier')
    expect((await rig.spireAgent.fetchX509()).map((svid) => svid.spiffeId)).toContain(spiffeId)
    await rig.keylime.start('verifier')
  })
})
