// A fleet half moved over from the release before: each half as it was shipped, beside the other as it is now.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import { tpmData } from '../lab/services/plugin-data.ts'
import { refusalsIn, startAndAttest, startAndBeRefused, startHost } from './host.ts'

const dir = process.env.PREVIOUS_RELEASE_DIR ?? ''
const oldServer = join(dir, 'keylime-attestor-server')
const oldAgent = join(dir, 'keylime-attestor-agent')
const absent = !existsSync(oldServer) || !existsSync(oldAgent)

const command = (path: string | undefined) => (path === undefined ? {} : { command: path })

describe.skipIf(absent)('halves of two releases (skipped unless PREVIOUS_RELEASE_DIR holds the older ones)', () => {
  let rig: Rig

  beforeAll(async () => {
    rig = await startHost({ name: 'previous', quoteInterval: 1 })
    await rig.enrol()
  }, 300_000)
  afterAll(() => rig.stop(), 60_000)

  const ownQuote = () => ({ only: [], data: tpmData(rig.tpm.path, join(rig.dir, 'keylime-agent/agent_data.json')) })

  it.each([
    { name: 'a', pair: 'the older agent half and the new server half', server: undefined, agent: oldAgent, tpm: false },
    {
      name: 'b',
      pair: 'the new agent half and the older server half',
      server: oldServer,
      agent: undefined,
      tpm: false,
    },
    {
      name: 'c',
      pair: 'the new agent half, which quotes by itself, and the older server half',
      server: oldServer,
      tpm: true,
    },
    { name: 'd', pair: 'both older halves', server: oldServer, agent: oldAgent, tpm: false },
  ])('attest under the same SPIFFE ID: $pair [tpm:messages:older-halves]', async ({ name, server, agent, tpm }) => {
    const spireServer = await rig.newServer({ name, plugin: command(server) })
    await spireServer.start()
    const plugin = { ...command(agent), ...(tpm ? ownQuote() : {}) }
    const spireAgent = await rig.newAgent(spireServer, { name, plugin })
    try {
      await startAndAttest(spireAgent)
      const shown = await spireServer.agentShow(rig.spiffeId)
      const kinds = shown?.selectors.map(({ value }) => value).filter((value) => value.startsWith('evidence:'))
      expect([refusalsIn(spireAgent.readLog()), kinds]).toEqual([
        [],
        server === undefined ? ['evidence:keylime-agent'] : [],
      ])
      expect(spireAgent.readLog().includes('server half is an older one')).toBe(tpm)
    } finally {
      await spireAgent.stop()
      await spireServer.stop()
    }
  })

  it('part where only tpm evidence is accepted: the older agent half is told what is missing [tpm:messages:older-halves]', async () => {
    const spireServer = await rig.newServer({ name: 'strict', plugin: { data: { accept_evidence: ['tpm'] } } })
    await spireServer.start()
    const spireAgent = await rig.newAgent(spireServer, { name: 'strict', plugin: command(oldAgent) })
    try {
      expect(await startAndBeRefused(spireAgent)).toEqual({
        code: 'FailedPrecondition',
        message: expect.stringContaining('[KL-EVIDENCE-NOT-ACCEPTED]') as string,
      })
    } finally {
      await spireAgent.stop()
      await spireServer.stop()
    }
  })
})
