import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { linesOf, startAndAttest, startHost } from './host.ts'

let rig: Rig

beforeAll(async () => {
  rig = await startHost({
    name: 'http-to-https',
    quoteInterval: 1,
    agentMtls: false,
    agent: {
      syncInterval: '1s',
      // All that the original Go plugin knew: a host and a port.
      plugin: { only: ['keylime_agent_host', 'keylime_agent_port'] },
    },
  })
  await rig.enrol()
})
afterAll(() => rig.stop())

describe('a host that moves from plain HTTP to mutual TLS', () => {
  it("attests over HTTP with the original plugin's two keys, and is warned about it [T30] [T27]", async () => {
    await startAndAttest(rig.spireAgent)
    await rig.spireAgent.waitForSvid(await rig.createWorkload('moved'))
    expect(
      linesOf(rig.spireAgent.readLog(), /level=warning[^\n]*(clear|plain HTTP|keylime_agent_use_tls)/),
    ).not.toEqual([])
    await rig.spireAgent.stop()
  })

  it('keeps its SPIFFE ID and its entries when agent, verifier and plugin are switched to TLS [T38]', async () => {
    await rig.keylime.admin.unenrol(rig.agentId)
    await rig.keylime.stop('verifier')
    await rig.keylimeAgent.stop()
    await rig.keylime.start('verifier', { agentMtls: true })
    await rig.keylimeAgent.start({ mtls: true })
    await rig.enrol()
    const agent = await rig.newAgent(rig.spireServer, { name: 'tls', syncInterval: '1s' })
    await startAndAttest(agent)
    expect((await rig.spireServer.agentList()).map(({ id }) => `spiffe://${id.trust_domain}${id.path}`)).toEqual([
      rig.spiffeId,
    ])
    await agent.waitForSvid('spiffe://tower.example/workload/moved')
    expect(linesOf(agent.readLog(), /level=warning[^\n]*(clear|plain HTTP|keylime_agent_use_tls)/)).toEqual([])
    await agent.stop()
  })
})
