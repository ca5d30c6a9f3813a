import { type AgentId, parseAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord, AgentRecords } from '@tower-of-omens/keylime/api'
import type { SpireAgent } from '@tower-of-omens/spire-api'
import { assert, constantFrom, integer, property } from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Decision, Watcher } from '../../../../operator/watch/watcher.ts'
import { readAsked } from '../../../../server-attestor/config.ts'

/** True time, as the SPIRE server and the verifier know it. */
const NOW = 1_800_000_000
const HOSTS = ['node-1', 'node-2', 'node-3'].map((name) => parseAgentId(name))
const FAILED: AgentId = parseAgentId('node-1')

function recordOf(agentId: AgentId, fields: Partial<AgentRecord> = {}): AgentRecord {
  return {
    agentId,
    operationalState: 3,
    tpmPolicy: '{"mask": "0x80", "7": ["00"]}',
    hasRuntimePolicy: true,
    hasMbRefstate: true,
    acceptTpmHashAlgs: ['sha256'],
    attestationCount: 10,
    lastSuccessfulAttestation: NOW - 1,
    receivedAt: NOW,
    ...fields,
  }
}

function answered(receivedAt: number, records: readonly AgentRecord[]): AgentRecords {
  return {
    size: records.length,
    receivedAt,
    agentIds: records.map(({ agentId }) => agentId),
    get: (agentId) => records.find((one) => one.agentId === agentId),
  }
}

/** What SPIRE has of each host, whose agents live a minute. */
const ATTESTED: ReadonlyMap<AgentId, SpireAgent> = new Map(
  HOSTS.map((agentId) => [
    agentId,
    {
      id: `spiffe://example.org/spire/agent/keylime/${agentId}`,
      attestationType: 'keylime',
      serialNumber: '1',
      expiresAt: NOW + 30,
      banned: false,
      canReattest: true,
      version: '',
      selectors: [],
    },
  ]),
)

function newWatcher() {
  const decisions: string[] = []
  const time = { now: 0 }
  const rules = {
    mode: 'ban',
    massVerdicts: 'cut',
    brake: { percent: 20, hosts: 3 },
    plugin: readAsked(''),
  } as const
  const watcher = new Watcher(
    rules,
    {
      decided: ({ host, action }: Decision) => decisions.push(`${action} ${host.agentId}`),
      braked: () => undefined,
      lifted: () => undefined,
    },
    () => time.now,
  )
  return { watcher, decisions, time }
}

describe('clocks', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('of this machine, up to five minutes ahead or behind, or jumping, change no decision [O27] [T73]', () => {
    const offset = integer({ min: -300, max: 300 })
    assert(
      property(offset, offset, constantFrom(0, 3_000, 30_000), (before, after, pauseMs) => {
        const { watcher, decisions, time } = newWatcher()
        const healthy = HOSTS.map((agentId) => recordOf(agentId))
        vi.setSystemTime((NOW + before) * 1000)
        watcher.spireListed('server', ATTESTED)
        watcher.round([answered(NOW, healthy)])
        expect(decisions).toEqual([])
        vi.setSystemTime((NOW + after) * 1000)
        time.now += pauseMs
        watcher.spireListed('server', ATTESTED)
        const failed = healthy.map((one) => (one.agentId === FAILED ? { ...one, operationalState: 9 } : one))
        watcher.round([answered(NOW + 5, failed)])
        expect(decisions).toEqual([`ban ${FAILED}`])
      }),
    )
  })

  it.each([
    // Every host looks old at once, which is Keylime's own fault.
    ['ahead', 305, true],
    ['back', -300, false],
  ] as const)('of the verifier, jumping %s, evict nobody', (_where, seconds, isBraked) => {
    const { watcher, decisions, time } = newWatcher()
    vi.setSystemTime(NOW * 1000)
    watcher.spireListed('server', ATTESTED)
    const round = (at: number): void => {
      const records = HOSTS.map((agentId) => recordOf(agentId, { receivedAt: at }))
      watcher.round([answered(at, records)])
    }
    round(NOW)
    time.now += 5_000
    round(NOW + seconds)
    expect([watcher.isBraked, decisions]).toEqual([isBraked, []])
  })

  it('are not read by a look: a host that looks old to it, as when the verifier is just back, is left to the rounds', () => {
    const { watcher, decisions } = newWatcher()
    vi.setSystemTime(NOW * 1000)
    watcher.spireListed('server', ATTESTED)
    const old = { lastSuccessfulAttestation: NOW - 120 }
    expect(watcher.looked(FAILED, recordOf(FAILED, old))).toBe(false)
    expect(decisions).toEqual([])
    expect(watcher.looked(FAILED, recordOf(FAILED, { ...old, operationalState: 9 }))).toBe(true)
    expect(decisions).toEqual([`ban ${FAILED}`])
  })
})
