import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { refusalsIn, startAndAttest, startHost } from './host.ts'

const dir = process.env.GO_PLUGIN_DIR ?? ''
const goServer = join(dir, 'keylime-attestor-server')
const goAgent = join(dir, 'keylime-attestor-agent')
const command = (path: string | undefined) => (path === undefined ? {} : { plugin: { command: path } })

const absent = !existsSync(goServer) || !existsSync(goAgent)

describe.skipIf(absent)('a fleet half moved over from the Go plugins (skipped unless GO_PLUGIN_DIR holds them)', () => {
  let rig: Rig

  beforeAll(async () => {
    rig = await startHost({ name: 'go-pair', quoteInterval: 1 })
    await rig.enrol()
    // The Go server half knows states 1, 3 and 4 only.
    await rig.keylime.admin.waitForState(rig.agentId, 'polled')
  })
  afterAll(() => rig.stop())

  it.each([
    { pair: 'their agent half and our server half', name: 'their-agent', server: undefined, agent: goAgent },
    { pair: 'our agent half and their server half', name: 'their-server', server: goServer, agent: undefined },
    { pair: 'both of theirs, for comparison', name: 'theirs', server: goServer, agent: goAgent },
    { pair: 'both of ours, for comparison', name: 'ours', server: undefined, agent: undefined },
  ])('attests under the same SPIFFE ID with $pair [T06] [T04]', async ({ name, server, agent }) => {
    const spireServer = await rig.newServer({ name, ...command(server) })
    await spireServer.start()
    const spireAgent = await rig.newAgent(spireServer, { name, ...command(agent) })
    await startAndAttest(spireAgent)
    expect((await spireServer.agentList()).map(({ id }) => `spiffe://${id.trust_domain}${id.path}`)).toEqual([
      rig.spiffeId,
    ])
    expect(refusalsIn(spireAgent.readLog())).toEqual([])
    await spireAgent.stop()
    await spireServer.stop()
  })
})
