import { createHash, X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:https'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { TRUST_DOMAIN } from '../lab/one-host/spire-maker.ts'
import { tryCommand } from '../lab/processes/commands.ts'
import { pollUntil } from '../lab/processes/poll.ts'
import type { SpireAgent } from '../lab/services/spire-agent.ts'
import type { SpireServer } from '../lab/services/spire-server.ts'
import { linesOf, pluginOf, refusalsIn, startAndAttest, startAndBeRefused, startHost } from './host.ts'

// The tests of this file are one story, told in order on one host.
let rig: Rig
const seenAt: Record<string, number> = {}
/** A second server whose agents' SVIDs live 20 s; it runs beside the first. */
let server20: SpireServer
let agent20: SpireAgent
let firstSerial: string | undefined

beforeAll(async () => {
  const measured = (what: string): void => {
    if (what.includes('software TPM')) seenAt.measured = Date.now()
  }
  rig = await startHost({ name: 'attest', agent: { syncInterval: '1s' }, onPart: measured })
  seenAt.registered = Date.now()
})
afterAll(() => rig.stop())

const uid = `unix:uid:${userInfo().uid}`

const attestedBy = (server: SpireServer): number => linesOf(server.process().readLog(), /msg="Node attested"/).length

/** How many files the two plugins have open. */
const openDescriptors = (): readonly number[] =>
  [rig.spireServer.process(), rig.spireAgent.process()].map((host) => readdirSync(`/proc/${pluginOf(host)}/fd`).length)

describe('a host on its way to an identity', () => {
  it('is refused before it is enrolled, with the reason, and its SPIRE agent keeps trying [T03]', async () => {
    const refusal = await startAndBeRefused(rig.spireAgent)
    expect(refusal).toEqual({
      code: 'FailedPrecondition',
      message: expect.stringContaining(`does not know agent ${rig.agentId}`) as string,
    })
    expect(rig.spireAgent.process().exit()).toBeUndefined()
    expect(await rig.spireServer.agentList()).toEqual([])
    await expect(rig.spireAgent.fetchX509()).rejects.toThrow('the workload got no SVID')
  })

  it('attests by itself once it is enrolled, under the SPIFFE ID the Go plugin gives [T02] [T04] [T05] [T09]', async () => {
    await rig.enrol()
    const entry = await rig.keylime.admin.enrolled(rig.agentId)
    seenAt.continuous = (entry?.lastSuccessfulAttestation ?? 0) * 1000
    await rig.spireAgent.healthy()
    seenAt.attested = Date.now()
    const log = rig.spireAgent.readLog()
    expect(log).toContain('Node attestation was successful')
    expect(log).toContain(`spiffe://${TRUST_DOMAIN}/spire/agent/keylime/${rig.agentId}`)
    expect((await rig.spireServer.agentList()).map(({ id }) => `spiffe://${id.trust_domain}${id.path}`)).toEqual([
      rig.spiffeId,
    ])
  })

  it('runs both halves as external plugins, pinned by plugin_checksum [T01] [T02] [C41]', () => {
    for (const log of [rig.spireServer.process().readLog(), rig.spireAgent.readLog()]) {
      expect(
        linesOf(log, /msg="Plugin loaded" external=true plugin_name=keylime plugin_type=NodeAttestor/),
      ).toHaveLength(1)
      expect(linesOf(log, /Plugin checksum not configured/)).toEqual([])
    }
  })

  it('is shown with selectors that come from Keylime, and can re-attest [C54] [T35] [T44]', async () => {
    const shown = await rig.spireServer.agentShow(rig.spiffeId)
    const values = shown?.selectors.map(({ type, value }) => `${type}:${value}`) ?? []
    expect(values).toEqual(
      expect.arrayContaining([
        `keylime:agent_id:${rig.agentId}`,
        expect.stringMatching(/^keylime:ek:sha256:[0-9a-f]{64}$/),
        'keylime:hash_alg:sha256',
        'keylime:ip:127.0.0.1',
        'keylime:policy:pcr:7',
      ]),
    )
    expect(values).not.toContain('keylime:policy:none')
    expect(shown?.can_reattest).toBe(true)
    expect(shown?.attestation_type).toBe('keylime')
    expect(await rig.spireServer.agentShowText(rig.spiffeId)).toMatch(/Can re-attest\s+: true/)
  })

  it('bears the hash of its EK as its name [T15]', async () => {
    const registered = await rig.keylime.admin.registered(rig.agentId)
    const certificate = new X509Certificate(registered?.ekCert ?? '')
    const pem = certificate.publicKey.export({ type: 'spki', format: 'pem' })
    expect(createHash('sha256').update(pem).digest('hex')).toBe(rig.agentId)
  })

  it('gives its workload an X509-SVID, and a JWT-SVID [T52]', async () => {
    const spiffeId = await rig.createWorkload('attest')
    const svid = await rig.spireAgent.waitForSvid(spiffeId)
    seenAt.svid = Date.now()
    expect(svid.certificate.subjectAltName).toBe(`URI:${spiffeId}`)
    expect(svid.certificate.verify(new X509Certificate(svid.bundle).publicKey)).toBe(true)
    const jwt = ['api', 'fetch', 'jwt', '-audience', 'anyone', '-socketPath', rig.spireAgent.socketPath]
    expect((await tryCommand(join(rig.parts.spireBin, 'spire-agent'), jwt)).stdout).toContain(`token(${spiffeId})`)
  })

  it('went through measured, registered, watched, attested and served in this order [T31]', async () => {
    // Keylime counts whole seconds.
    expect(seenAt.measured).toBeLessThanOrEqual(seenAt.registered ?? 0)
    expect(seenAt.registered).toBeLessThan((seenAt.continuous ?? 0) + 1000)
    expect(seenAt.continuous).toBeLessThanOrEqual(seenAt.attested ?? 0)
    expect(seenAt.attested).toBeLessThanOrEqual(seenAt.svid ?? 0)
  })

  it('is found by an alias over its selectors, and one for another host is not found [T54] [C54] [T33]', async () => {
    const aliased = async (alias: string, selectors: readonly string[], workload: string): Promise<string> => {
      const parentId = `spiffe://${TRUST_DOMAIN}/alias/${alias}`
      await rig.spireServer.createEntry({ spiffeId: parentId, node: true, selectors })
      const spiffeId = `spiffe://${TRUST_DOMAIN}/workload/${workload}`
      await rig.spireServer.createEntry({ spiffeId, parentId, selectors: [uid] })
      return spiffeId
    }
    const strangerId = await aliased('stranger', ['keylime:agent_id:someone-else'], 'of-stranger')
    const ownId = await aliased('own', [`keylime:agent_id:${rig.agentId}`, 'keylime:policy:pcr:7'], 'of-own')
    await rig.spireAgent.waitForSvid(ownId)
    const ids = (await rig.spireAgent.fetchX509()).map(({ spiffeId }) => spiffeId)
    expect(ids).not.toContain(strangerId)
  })

  it('keeps its Keylime agent to itself: no client certificate, no answer [T20]', async () => {
    const reached = new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port: rig.pullAgent().port,
          path: '/version',
          ca: readFileSync(rig.pullAgent().certFile),
        },
        resolve,
      )
      outgoing.once('error', reject)
      outgoing.end()
    })
    await expect(reached).rejects.toThrow(/certificate required|socket hang up|ECONNRESET/)
  })

  it('is attested by a second server too, which gives its agent 20 s at a time', async () => {
    server20 = await rig.newServer({ name: '20s', agentTtl: '20s' })
    await server20.start()
    agent20 = await rig.newAgent(server20, { name: '20s', syncInterval: '1s' })
    await startAndAttest(agent20)
    const spiffeId = `spiffe://${TRUST_DOMAIN}/workload/short`
    await server20.createEntry({ spiffeId, parentId: rig.spiffeId, selectors: [uid] })
    await agent20.waitForSvid(spiffeId)
    firstSerial = (await server20.agentShow(rig.spiffeId))?.x509svid_serial_number
    expect(firstSerial).toMatch(/^\d+$/)
  })

  it('is quoted at least 25 times in about a minute while SPIRE uses the same TPM, and no descriptor stays open [T16]', async () => {
    const passedQuotes = async (): Promise<number> =>
      (await rig.keylime.admin.enrolled(rig.agentId))?.attestationCount ?? 0
    const before = await passedQuotes()
    const descriptors = openDescriptors()
    let returns = 0
    let evictAt = before
    await pollUntil(
      '25 more quotes',
      async () => {
        const now = await passedQuotes()
        const isBack = (await rig.spireServer.agentShow(rig.spiffeId)) !== undefined
        // Some quotes apart: a SPIRE agent that is evicted in the middle of a sync waits longer with each such failure.
        if (isBack && now >= evictAt) {
          await rig.spireServer.evict(rig.spiffeId)
          returns += 1
          evictAt = now + 3
        }
        return now - before >= 25
      },
      { deadlineMs: 75_000, intervalMs: 500 },
    )
    await pollUntil('the SPIRE agent to be back', () => rig.spireServer.agentShow(rig.spiffeId))
    expect(returns).toBeGreaterThan(3)
    // One connection may have come up anew; the Go plugins kept one for every attestation.
    const grown = openDescriptors().map((count, index) => count - (descriptors[index] ?? 0))
    expect(Math.max(...grown)).toBeLessThan(4)
    expect(refusalsIn(rig.spireAgent.readLog()).filter(({ code }) => code !== 'FailedPrecondition')).toEqual([])
  })
})

describe('a SPIRE agent whose SVID lives 20 s', () => {
  it('has asked Keylime again at each renewal, without a gap for its workload [C59]', async () => {
    await pollUntil('three attestations', () => attestedBy(server20) >= 3, { deadlineMs: 60_000 })
    expect((await server20.agentShow(rig.spiffeId))?.x509svid_serial_number).not.toBe(firstSerial)
    expect(linesOf(agent20.readLog(), /Successfully reattested node/).length).toBeGreaterThanOrEqual(2)
    expect(refusalsIn(agent20.readLog())).toEqual([])
    await agent20.fetchX509()
  })

  it('is not renewed once Keylime fails the node, and has no SVID when its last one has run out [T36] [P25]', async () => {
    await rig.tamper()
    const last = await server20.agentShow(rig.spiffeId)
    await agent20.waitForLog(/Could not reattest agent[^\n]*code = PermissionDenied/, 30_000)
    expect((await server20.agentShow(rig.spiffeId))?.x509svid_serial_number).toBe(last?.x509svid_serial_number)
    await agent20.waitForExit(60_000)
    expect(Date.now()).toBeGreaterThan(Number(last?.x509svid_expires_at) * 1000 - 5_000)
    await expect(agent20.fetchX509()).rejects.toThrow('the workload got no SVID')
  })
})
