import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pollUntil } from '../rig/poll.ts'
import type { Rig } from '../rig/rig.ts'
import { linesOf, refusalsIn, startAndAttest, startHost } from './host.ts'

let rig: Rig

beforeAll(async () => {
  rig = await startHost({
    name: 'renewal',
    quoteInterval: 1,
    server: { agentTtl: '20s' },
    agent: { syncInterval: '1s' },
  })
})
afterAll(() => rig.stop())

const attested = (): number => linesOf(rig.spireServer.process().readLog(), /msg="Node attested"/).length

describe('a SPIRE agent whose SVID lives 20 s', () => {
  it('asks Keylime again at each renewal, without a gap for its workload [C59]', async () => {
    await rig.enrol()
    await startAndAttest(rig.spireAgent)
    await rig.spireAgent.waitForSvid(await rig.createWorkload('renewal'))
    const first = await rig.spireServer.agentShow(rig.spiffeId)
    await pollUntil('three attestations', () => attested() >= 3, { deadlineMs: 60_000 })
    const later = await rig.spireServer.agentShow(rig.spiffeId)
    expect(later?.x509svid_serial_number).not.toBe(first?.x509svid_serial_number)
    expect(linesOf(rig.spireAgent.readLog(), /Successfully reattested node/).length).toBeGreaterThanOrEqual(2)
    expect(refusalsIn(rig.spireAgent.readLog())).toEqual([])
    await rig.spireAgent.fetchX509()
  })

  it('is not renewed once Keylime fails the node, and has no SVID when its last one has run out [T36] [P25]', async () => {
    await rig.tamper()
    const last = await rig.spireServer.agentShow(rig.spiffeId)
    await rig.spireAgent.waitForLog(/Could not reattest agent[^\n]*code = PermissionDenied/, 30_000)
    expect((await rig.spireServer.agentShow(rig.spiffeId))?.x509svid_serial_number).toBe(last?.x509svid_serial_number)
    await rig.spireAgent.waitForExit(60_000)
    expect(Date.now()).toBeGreaterThan(Number(last?.x509svid_expires_at) * 1000 - 5_000)
    await expect(rig.spireAgent.fetchX509()).rejects.toThrow('the workload got no SVID')
  })
})
