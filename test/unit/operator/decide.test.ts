import { readFileSync } from 'node:fs'
import { parseAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { array, assert, boolean, constantFrom, integer, nat, option, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { judgeAsPlugin } from '../../../operator/judgement.ts'
import { BRAKE_WINDOW_MS, Brake } from '../../../operator/watch/brake.ts'
import { type DecideFacts, decide, EVICT_EVERY_MS, keylimeStanding } from '../../../operator/watch/decide.ts'
import { parseAgentRecord } from '../../../plugins/keylime/api/v2/agent-record.ts'
import { readAsked } from '../../../server-attestor/config.ts'

const cause = constantFrom('verdict', 'absent', 'stale', 'gone')
const keylime = cause.map((one) => ({ cause: one, code: 'KL', message: 'm' }) as const)
const spire = constantFrom('attested', 'banned', 'absent', 'unknown')
const base = {
  mode: constantFrom('observe', 'evict', 'ban'),
  spire,
  brake: boolean(),
  massVerdicts: constantFrom('cut', 'hold'),
  sinceEvictionMs: option(nat(120_000), { nil: undefined }),
}

describe('decide', () => {
  it('never touches a healthy host, whatever else holds', () => {
    assert(
      property(record({ ...base, isAdmitted: boolean() }), ({ isAdmitted, ...facts }) => {
        expect(decide({ ...facts, keylime: { cause: 'none', isAdmitted } }).action).toBe('none')
      }),
    )
  })

  it('never acts on absence while the brake is on', () => {
    assert(
      property(record({ ...base, keylime }), (facts) => {
        const { action } = decide({ ...facts, brake: true })
        expect(action === 'none' || facts.keylime.cause === 'verdict').toBe(true)
      }),
    )
  })

  it('cuts a verdict off in any mode, braked or not, as long as SPIRE may have it attested', () => {
    assert(
      property(record(base), (facts) => {
        const all: DecideFacts = {
          ...facts,
          keylime: { cause: 'verdict', code: 'KL', message: 'm' },
          massVerdicts: 'cut',
        }
        const { action } = decide({ ...all, spire: 'attested', sinceEvictionMs: undefined })
        expect(action).toBe(facts.mode === 'evict' ? 'evict' : 'ban')
      }),
    )
  })

  it('bans for a verdict only, and evicts the same host at most once in 30 seconds', () => {
    assert(
      property(record({ ...base, keylime }), (facts) => {
        const verdict = decide(facts)
        if (verdict.action === 'none') return
        expect(verdict.action === 'ban').toBe(facts.keylime.cause === 'verdict' && facts.mode !== 'evict')
        expect(verdict.action === 'evict' && (facts.sinceEvictionMs ?? EVICT_EVERY_MS) < EVICT_EVERY_MS).toBe(false)
      }),
    )
  })

  it('does nothing about what SPIRE does not have or has banned', () => {
    assert(
      property(record({ ...base, keylime, spire: constantFrom('banned', 'absent') }), (facts) => {
        expect(decide(facts)).toEqual({ action: 'none', because: 'done' })
      }),
    )
  })
})

const plugin = readAsked('')
const agentId = parseAgentId('node-1')
const NOW = 1_800_000_000
const healthy: AgentRecord = {
  agentId,
  operationalState: 3,
  attestationCount: 9,
  lastSuccessfulAttestation: NOW - 1,
  attestationStatus: 'PASS',
  maximumAttestationIntervalMs: 10_000,
  tpmPolicy: '{"mask": "0x0"}',
  hasRuntimePolicy: false,
  hasMbRefstate: false,
  acceptTpmHashAlgs: ['sha256'],
  ip: '127.0.0.1',
  port: 9002,
  receivedAt: NOW,
}
const standing = (change: Partial<AgentRecord>) => {
  const changed = { ...healthy, ...change }
  return keylimeStanding(changed, judgeAsPlugin(changed, plugin))
}

describe('how a host stands', () => {
  it.each([
    [{}, 'none'],
    [{ operationalState: 9, attestationStatus: 'FAIL' }, 'verdict'],
    [{ operationalState: 10, attestationStatus: 'FAIL' }, 'verdict'],
    [{ operationalState: null, ip: undefined, port: undefined, attestationStatus: 'FAIL' }, 'verdict'],
    [{ operationalState: 7, attestationStatus: 'FAIL', lastEventId: 'internal.verifier.not_reachable' }, 'absent'],
    [{ operationalState: 7, attestationStatus: 'FAIL', lastEventId: 'other' }, 'absent'],
    [{ attestationStatus: 'TIMEOUT' }, 'absent'],
    [{ lastSuccessfulAttestation: NOW - 31 }, 'stale'],
    [{ lastSuccessfulAttestation: NOW - 30 }, 'none'],
    [
      { operationalState: 1, attestationCount: 0, lastSuccessfulAttestation: undefined, attestationStatus: 'PENDING' },
      'none',
    ],
  ] as const)('is read from its record: %o is %s', (change, expected) => {
    expect(standing(change as Partial<AgentRecord>).cause).toBe(expected)
  })

  it.each([
    ['v26-agent-pass', 'none'],
    ['v26-agent-pending', 'none'],
    ['v26-agent-empty-policy-pending', 'none'],
    ['v26-agent-fail', 'verdict'],
    ['v26-agent-fail-sticky-after-pass', 'verdict'],
    ['v26-agent-timeout', 'absent'],
    ['v26-agent-stopped', 'verdict'],
  ] as const)('is read from what a push-mode verifier answered: %s is %s [tpm:push:watched]', (name, expected) => {
    const file = new URL(`../../fixtures/keylime-push/${name}.json`, import.meta.url)
    const answer = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly headers: { readonly Date: string }
      readonly body: { readonly results: unknown }
    }
    const date = Date.parse(answer.headers.Date) / 1000
    const recorded = parseAgentRecord(answer.body.results, agentId, { who: 'verifier', date })
    const found = keylimeStanding(recorded, judgeAsPlugin(recorded, plugin))
    expect(found.cause).toBe(expected)
    expect(found.cause === 'none' && found.isAdmitted).toBe(name === 'v26-agent-pass')
  })

  it('is a reason to act only where the gate refuses, and then has a code of the gate', () => {
    assert(
      property(
        record({
          operationalState: option(integer({ min: -1, max: 12 }), { nil: null }),
          attestationCount: nat(3),
          lastSuccessfulAttestation: integer({ min: NOW - 100, max: NOW + 100 }),
          attestationStatus: constantFrom('PASS', 'FAIL', 'PENDING', 'TIMEOUT', 'ODD'),
        }),
        (change) => {
          const changed = { ...healthy, ...change }
          const decision = judgeAsPlugin(changed, plugin)
          const found = keylimeStanding(changed, decision)
          const isRight =
            found.cause === 'none'
              ? found.isAdmitted === (decision.kind === 'admit')
              : decision.kind !== 'admit' && found.code.startsWith('KL-')
          expect(isRight).toBe(true)
        },
      ),
    )
  })
})

describe('the brake', () => {
  it('goes on when more than a fifth and at least three go absent within a minute, and off when they are back', () => {
    const brake = new Brake({ percent: 20, hosts: 3 })
    brake.update(ids(2), 3, 0)
    expect(brake.isOn).toBe(false)
    brake.update(ids(3), 3, 1_000)
    expect(brake.isOn).toBe(true)
    brake.update(ids(3), 3, 10 * BRAKE_WINDOW_MS)
    expect(brake.isOn).toBe(true)
    brake.update(ids(1), 3, 10 * BRAKE_WINDOW_MS + 1)
    expect(brake.isOn).toBe(false)
  })

  it('stays off for hosts that go one after the other over a long time', () => {
    const brake = new Brake({ percent: 20, hosts: 3 })
    for (let hour = 0; hour < 10; hour += 1) {
      brake.update(ids(hour + 1), 1_000, hour * 3_600_000)
      expect(brake.isOn).toBe(false)
    }
  })

  it('is on exactly when the rule says so, for any fleet', () => {
    assert(
      property(nat(2_000), nat(2_000), (hosts, gone) => {
        const absent = Math.min(hosts, gone)
        const brake = new Brake({ percent: 20, hosts: 3 })
        brake.update(ids(absent), hosts, 0)
        expect(brake.isOn).toBe(absent >= 3 && absent > 0.2 * hosts)
      }),
    )
  })

  it("is on while the verifier's clock stands", () => {
    const brake = new Brake({ percent: 20, hosts: 3 })
    brake.clockStands(true)
    expect(brake.isOn).toBe(true)
    brake.clockStands(false)
    expect(brake.isOn).toBe(false)
  })

  it('forgets who came back', () => {
    assert(
      property(array(nat(20), { maxLength: 50 }), (counts) => {
        const brake = new Brake({ percent: 20, hosts: 3 })
        for (const [round, count] of counts.entries()) brake.update(ids(count), 100, round * 1_000)
        expect(brake.absent).toBe(counts.at(-1) ?? 0)
      }),
    )
  })
})

function ids(count: number): ReadonlySet<string> {
  return new Set(Array.from({ length: count }, (_, index) => `n${index}`))
}
