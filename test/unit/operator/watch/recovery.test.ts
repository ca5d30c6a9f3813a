import { parseAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { array, assert, asyncProperty, boolean, constantFrom, integer, option, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Recoverable } from '../../../../operator/act/recovering.ts'
import type { KeylimeStanding } from '../../../../operator/watch/decide.ts'
import type { WatchedHost } from '../../../../operator/watch/hosts.ts'
import { Recovery } from '../../../../operator/watch/recovery.ts'
import { startFakeSite } from '../towerkeep.ts'
import { startWatch } from '../watch-daemon.ts'

const NOW = 1_800_000_000
const LOST = 'internal.verifier.not_reachable'
const ABSENT: KeylimeStanding = { cause: 'absent', code: 'KL-GATE-UNREACHABLE', message: 'away' }
const ANSWERS = { value: { leftShare: 0.5 } } as unknown as Recoverable['certificate']

function watched(agentId: string, fields: Partial<AgentRecord> = {}, more: Partial<WatchedHost> = {}): WatchedHost {
  const id = parseAgentId(agentId)
  const value: AgentRecord = {
    agentId: id,
    operationalState: 7,
    lastEventId: LOST,
    tpmPolicy: '{}',
    hasRuntimePolicy: false,
    hasMbRefstate: false,
    acceptTpmHashAlgs: [],
    lastSuccessfulAttestation: NOW - 100,
    receivedAt: NOW,
    ...fields,
  }
  return {
    agentId: id,
    record: value,
    keylime: ABSENT,
    spire: new Map(),
    noticedAt: undefined,
    evictedAt: undefined,
    latch: undefined,
    missing: 0,
    ...more,
  }
}

/** Recovery whose verifier is a list, and whose time is a number. */
function newRecovery(certificate: Recoverable['certificate'] = ANSWERS, fails = false) {
  const seen = { reactivated: [] as string[], dialled: [] as string[], told: [] as string[], now: 0 }
  const recovery = new Recovery(
    {
      reactivate: async (agentId) => {
        seen.reactivated.push(agentId)
        if (fails) throw new Error('the verifier is away')
      },
      certificateOf: async ({ agentId }) => {
        seen.dialled.push(agentId)
        return certificate
      },
      budgetSeconds: 62,
      telling: { host: (event, agentId) => seen.told.push(`${event} ${agentId}`) },
      log: { info: () => undefined, warn: () => undefined },
      sleep: async () => true,
    },
    () => seen.now,
  )
  return { recovery, seen }
}

describe('recovery without a person', () => {
  it('leaves a host alone that somebody has banned without telling us', async () => {
    const { recovery, seen } = newRecovery()
    await recovery.consider([
      watched(
        'banned',
        {},
        {
          spire: new Map([
            ['a', 'attested'],
            ['b', 'banned'],
          ]),
        },
      ),
      watched('free'),
    ])
    expect([seen.dialled, seen.reactivated]).toEqual([['free'], ['free']])
  })

  it('is for hosts that were away and answer again, whatever else they are, and for no other [O10]', async () => {
    const anyHost = record({
      state: integer({ min: 0, max: 10 }),
      event: option(constantFrom(LOST, 'pcr_validation.invalid_pcr_7', 'ima.pcr_mismatch', 'qoute_validation.clock'), {
        nil: undefined,
      }),
      age: integer({ min: 0, max: 300 }),
      cause: constantFrom('absent' as const, 'verdict' as const, 'stale' as const, 'gone' as const),
      isBanned: boolean(),
      answers: boolean(),
    })
    await assert(
      asyncProperty(array(anyHost, { maxLength: 12 }), boolean(), async (facts, answers) => {
        const { recovery, seen } = newRecovery(answers ? ANSWERS : { failed: 'nobody listens' })
        const hosts = facts.map(({ state, event, age, cause, isBanned }, index) =>
          watched(
            `node-${index}`,
            {
              operationalState: state,
              ...(event === undefined ? { lastEventId: undefined } : { lastEventId: event }),
              lastSuccessfulAttestation: NOW - age,
            } as Partial<AgentRecord>,
            {
              keylime: { ...ABSENT, cause },
              ...(isBanned && { latch: { since: NOW, reason: 'verdict' } }),
            },
          ),
        )
        await recovery.consider(hosts)
        const meant = facts.flatMap(({ state, event, age, cause, isBanned }, index) =>
          state === 7 && event === LOST && age > 62 && cause === 'absent' && !isBanned ? [`node-${index}`] : [],
        )
        expect(seen.dialled).toEqual(meant)
        expect(seen.reactivated).toEqual(answers ? meant : [])
      }),
    )
  })

  it('waits a minute before it tries a host again, then twice as long, and begins anew after a success', async () => {
    const { recovery, seen } = newRecovery(ANSWERS, true)
    const host = watched('node-1')
    const triesAt = async (now: number): Promise<number> => {
      seen.now = now
      await recovery.consider([host])
      return seen.reactivated.length
    }
    expect(await triesAt(0)).toBe(1)
    expect(await triesAt(59_999)).toBe(1)
    expect(await triesAt(60_000)).toBe(2)
    expect(await triesAt(179_999)).toBe(2)
    expect(await triesAt(180_000)).toBe(3)
    // Just brought back: the gate takes the success of before the absence, which is young enough.
    host.keylime = { cause: 'none', isAdmitted: true }
    expect(await triesAt(180_001)).toBe(3)
    host.keylime = ABSENT
    expect(await triesAt(180_002)).toBe(3)
    host.record = watched('node-1', { lastSuccessfulAttestation: NOW - 90 }).record
    expect(await triesAt(180_003)).toBe(4)
    expect(seen.told).toEqual(Array.from({ length: 4 }, () => 'not_recovered node-1'))
  })

  it('has the verifier begin anew with the host that answers, and leaves the one that failed [O10]', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    const agent = await site.keylime.startAgent()
    const [lost = '', failed = ''] = site.keylime.nodes.map(({ agentId }) => agentId)
    const before = Math.floor(Date.now() / 1000) - 200
    const fields = { port: agent.port, last_successful_attestation: before }
    site.keylime.verifier.set(lost, { ...fields, operational_state: 7, last_event_id: LOST })
    site.keylime.verifier.set(failed, {
      ...fields,
      operational_state: 9,
      last_event_id: 'pcr_validation.invalid_pcr_7',
    })
    await using daemon = await startWatch(site, 'mode = "evict"\n  poll = "500ms"\n  recover = "reboot"')
    await expect.poll(() => daemon.log(), { timeout: 10_000 }).toContain('the verifier begins anew with a host')
    await expect.poll(() => site.keylime.verifier.stats.requests['bulk'] ?? 0, { timeout: 10_000 }).toBeGreaterThan(4)
    expect(site.keylime.verifier.stats.requests['reactivate']).toBe(1)
    const line = daemon
      .log()
      .split('\n')
      .find((one) => one.includes('begins anew'))
    expect(line).toContain(lost)
  })

  it('is off unless it is configured, and not done in mode observe', async () => {
    for (const watch of ['mode = "ban"', 'mode = "observe"\n  recover = "reboot"']) {
      await using site = await startFakeSite({ nodes: 1 })
      const agent = await site.keylime.startAgent()
      site.keylime.verifier.set(agent.agentId, {
        port: agent.port,
        last_successful_attestation: Math.floor(Date.now() / 1000) - 200,
        operational_state: 7,
        last_event_id: LOST,
      })
      await using daemon = await startWatch(site, `${watch}\n  poll = "500ms"`)
      await expect.poll(() => site.keylime.verifier.stats.requests['bulk'] ?? 0, { timeout: 10_000 }).toBeGreaterThan(3)
      expect(site.keylime.verifier.stats.requests['reactivate']).toBeUndefined()
      expect(daemon.log()).not.toContain('begins anew')
    }
  })
})
