import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord, AgentRecords, VerifierClient } from '@tower-of-omens/keylime/api'
import { SpireConnection } from '@tower-of-omens/spire-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Asking, type WatchSources } from '../../../../operator/watch/asking.ts'
import { SourceBook } from '../../../../operator/watch/sources.ts'
import { Watcher } from '../../../../operator/watch/watcher.ts'
import { readAsked } from '../../../../server-attestor/config.ts'
import { FakeSpireServer } from '../../../fakes/fake-spire-server.ts'

const agentId = parseAgentId('node-1')
const failed: AgentRecord = {
  agentId,
  operationalState: 9,
  tpmPolicy: '{}',
  hasRuntimePolicy: false,
  hasMbRefstate: false,
  acceptTpmHashAlgs: [],
}
const absent: AgentRecord = { ...failed, operationalState: 7 }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'asking-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Verifiers that answer with these records, or not at all. */
function verifiersOf(answers: readonly (AgentRecord | 'away')[]): readonly VerifierClient[] {
  return answers.map((answer) => {
    const getAgents = (): Promise<AgentRecords> =>
      answer === 'away'
        ? Promise.reject(new Error('away'))
        : Promise.resolve({ size: 1, agentIds: [agentId], get: () => answer })
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return { getAgents } as unknown as VerifierClient
  })
}

function newAsking(spire: readonly SpireConnection[], answers: readonly (AgentRecord | 'away')[]) {
  const decisions: string[] = []
  const rules = { mode: 'ban', massVerdicts: 'cut', brake: { percent: 20, hosts: 3 }, plugin: readAsked('') } as const
  const watcher = new Watcher(rules, {
    decided: ({ host, action }) => decisions.push(`${action} ${host.agentId}`),
    braked: () => undefined,
    lifted: () => undefined,
  })
  const heard: string[] = []
  const book = new SourceBook(['verifier', 'spire', 'registrar'], (source, { isUp }) => heard.push(`${source} ${isUp}`))
  const keylime = { verifiers: verifiersOf(answers), registrars: [] }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const sources = {
    spire,
    keylime,
    trustDomain: 'example.org',
    services: { attestor: 'keylime' },
  } as unknown as WatchSources
  const asking = new Asking(sources, watcher, book, new AbortController().signal)
  return { asking, watcher, decisions, heard }
}

describe('asking', () => {
  it('bans a host that one verifier fails though another is away, and concludes no absence then', async () => {
    const { asking, decisions, heard } = newAsking([], ['away', failed])
    await asking.round()
    expect([decisions, heard, asking.hasAll]).toEqual([['ban node-1'], ['verifier false'], false])
    const other = newAsking([], [absent, 'away'])
    await other.asking.round()
    await other.asking.round()
    expect(other.decisions).toEqual([])
  })

  it('sees what one SPIRE server has though another is away', async () => {
    const here = await new FakeSpireServer(join(folder, 'b.sock')).start()
    const connections = ['a.sock', 'b.sock'].map((name) => new SpireConnection({ socketPath: join(folder, name) }))
    const { asking, watcher, heard } = newAsking(connections, [failed])
    here.attest(agentId)
    await asking.listSpire()
    expect([...(watcher.hosts.find(agentId)?.spire.values() ?? [])]).toEqual(['attested'])
    expect([heard, asking.hasAll, asking.svids.has(agentId)]).toEqual([['spire false'], false, true])
    for (const connection of connections) connection.close()
    here.stop()
  })
})
