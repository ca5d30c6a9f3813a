// The gate over the records of a real verifier of 7.14.3 in push mode, and over everything else such a record may say.
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryOf } from '../../../plugins/gate/catalogue/catalogue.ts'
import { type GateRules, type Judgement, judge, type OwnEvidence } from '../../../plugins/gate/judge.ts'
import { parseTpmPolicy } from '../../../plugins/gate/policy.ts'
import { pushStrength } from '../../../plugins/gate/push-gate.ts'
import type { AgentRecord } from '../../../plugins/keylime/api/v2/agent-record.ts'
import { parseAgentRecord } from '../../../plugins/keylime/api/v2/agent-record.ts'
import { parseAgentId } from '../../../plugins/keylime/basis/ids.ts'
import { agentRecord } from '../server-attestor/agent-record.ts'

const RULES: GateRules = { requirePolicy: [], enforce: true }
const PROVED: OwnEvidence = { kind: 'tpm', judged: { kind: 'proved', types: ['tpm_quote'], ageSeconds: 1 } }
const PUSH = { ip: undefined, port: undefined, attestationStatus: 'PASS' }

type Fields = Readonly<Record<string, unknown>>

/** A healthy record with some fields as a test wants them, absent ones included. */
function recordWith(fields: Fields): AgentRecord {
  return { ...agentRecord(), ...fields }
}

function recorded(name: string): AgentRecord {
  const file = new URL(`../../fixtures/keylime-push/${name}.json`, import.meta.url)
  const { body, headers } = JSON.parse(readFileSync(file, 'utf8')) as {
    body: { results: unknown }
    headers: { Date: string }
  }
  const date = Date.parse(headers.Date) / 1000
  return parseAgentRecord(body.results, parseAgentId('node-1'), { who: 'verifier', date })
}

function told(decision: Judgement): readonly string[] {
  return [decision.kind, ...(decision.kind === 'admit' ? [] : decision.reasons.map(({ code }) => code))]
}

describe('a real record of a push-mode node', () => {
  it.each<[string, readonly string[]]>([
    ['v26-agent-pass', ['admit']],
    ['v26-agent-pending', ['not-yet', 'KL-GATE-STATUS-PENDING', 'KL-GATE-COUNT-ZERO', 'KL-GATE-NEVER']],
    ['v26-agent-empty-policy-pending', ['not-yet', 'KL-GATE-PUSH-EMPTY-POLICY', 'KL-GATE-COUNT-ZERO', 'KL-GATE-NEVER']],
    ['v26-agent-fail', ['refuse', 'KL-GATE-PUSH-FAIL']],
    ['v26-agent-fail-sticky-after-pass', ['refuse', 'KL-GATE-PUSH-FAIL']],
    ['v26-agent-timeout', ['not-yet', 'KL-GATE-STATUS-TIMEOUT']],
    ['v26-agent-pass-after-timeout', ['admit']],
    ['v26-agent-stopped', ['refuse', 'KL-GATE-STOPPED']],
    ['v26-agent-state1-after-verifier-restart', ['admit']],
  ])('%s: %s [tpm:push:gate]', (name, expected) => {
    expect(told(judge(recorded(name), 'sha256', RULES, PROVED))).toEqual(expected)
  })

  it('that still reads PASS although its node went while the verifier was down is refused by its age [tpm:push:stale]', () => {
    const record = { ...recorded('v26-agent-pass'), operationalState: 1 }
    const later = { ...record, receivedAt: (record.receivedAt ?? 0) + 60 }
    expect(told(judge(later, 'sha256', RULES, PROVED))).toEqual(['not-yet', 'KL-GATE-STALE'])
  })
})

describe('judge in push mode', () => {
  it.each<[string, Fields, OwnEvidence, readonly string[]]>([
    ['all well', {}, PROVED, ['admit']],
    ['an identity quote', {}, { kind: 'keylime-agent' }, ['not-yet', 'KL-GATE-PUSH-MODE']],
    ['a verifier before 7.14.2', { attestationStatus: undefined }, PROVED, ['not-yet', 'KL-GATE-PUSH-OLD']],
    ['an unknown status', { attestationStatus: 'pass' }, PROVED, ['not-yet', 'KL-GATE-STATUS-UNKNOWN']],
    ['no state', { operationalState: null }, PROVED, ['admit']],
    ['state 1', { operationalState: 1 }, PROVED, ['admit']],
    ['state 5', { operationalState: 5 }, PROVED, ['admit']],
    ['state 0', { operationalState: 0 }, PROVED, ['not-yet', 'KL-GATE-PENDING']],
    ['state 2', { operationalState: 2 }, PROVED, ['not-yet', 'KL-GATE-PENDING']],
    ['state 7', { operationalState: 7 }, PROVED, ['refuse', 'KL-GATE-FAILED']],
    ['state 8', { operationalState: 8 }, PROVED, ['refuse', 'KL-GATE-STOPPED']],
    ['state 9', { operationalState: 9 }, PROVED, ['refuse', 'KL-GATE-INVALID-QUOTE']],
    ['state 10', { operationalState: 10 }, PROVED, ['refuse', 'KL-GATE-STOPPED']],
    ['state 11', { operationalState: 11 }, PROVED, ['not-yet', 'KL-GATE-UNKNOWN-STATE']],
    ['no attestation', { attestationCount: 0 }, PROVED, ['not-yet', 'KL-GATE-COUNT-ZERO']],
    ['evidence not read', {}, { kind: 'tpm' }, ['not-yet', 'KL-PUSH-EVIDENCE-PENDING']],
    [
      'evidence not judged',
      {},
      { kind: 'tpm', judged: { kind: 'pending', reason: 'x' } },
      ['not-yet', 'KL-PUSH-EVIDENCE-PENDING'],
    ],
    [
      'evidence of another',
      {},
      { kind: 'tpm', judged: { kind: 'rejected', reason: 'x' } },
      ['refuse', 'KL-PUSH-EVIDENCE-REJECTED'],
    ],
    [
      'old evidence',
      {},
      { kind: 'tpm', judged: { kind: 'proved', types: [], ageSeconds: 31 } },
      ['not-yet', 'KL-PUSH-EVIDENCE-PENDING'],
    ],
    ['another hash', { acceptTpmHashAlgs: ['sha384'] }, PROVED, ['refuse', 'KL-GATE-HASH-ALG']],
  ])('%s [tpm:push:gate]', (_title, fields, own, expected) => {
    expect(told(judge(recordWith({ ...PUSH, ...fields }), 'sha256', RULES, own))).toEqual(expected)
  })

  it('admits nothing that lacks one of its conditions, whatever the rest says [tpm:push:gate]', () => {
    const anything = fc.record({
      status: fc.constantFrom(undefined, 'PASS', 'FAIL', 'PENDING', 'TIMEOUT', 'x'),
      state: fc.constantFrom(null, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
      count: fc.constantFrom(undefined, 0, 1, 9),
      kind: fc.constantFrom('tpm', 'keylime-agent' as const),
      judged: fc.constantFrom('proved', 'rejected', 'pending', undefined),
    })
    fc.assert(
      fc.property(anything, ({ status, state, count, kind, judged }) => {
        const record = recordWith({
          ...PUSH,
          attestationStatus: status,
          operationalState: state,
          attestationCount: count,
        })
        const evidence =
          judged === 'proved'
            ? ({ kind: 'proved', types: [], ageSeconds: 1 } as const)
            : judged && ({ kind: judged, reason: '' } as const)
        const good =
          kind === 'tpm' &&
          status === 'PASS' &&
          judged === 'proved' &&
          [null, 1, 3, 5].includes(state) &&
          (count ?? 0) > 0
        expect(judge(record, 'sha256', RULES, { kind, judged: evidence }).kind === 'admit').toBe(good)
      }),
      { numRuns: 2000 },
    )
  })

  it('relaxes in shadow mode neither evidence, nor FAIL, nor the proof of the evidence [tpm:push:shadow]', () => {
    const shadow = { ...RULES, enforce: false }
    const record = recordWith(PUSH)
    expect(told(judge(record, 'sha256', shadow, { kind: 'keylime-agent' }))).toEqual(['not-yet', 'KL-GATE-PUSH-MODE'])
    const failed = recordWith({ ...PUSH, attestationStatus: 'FAIL' })
    expect(told(judge(failed, 'sha256', shadow, PROVED))).toEqual(['refuse', 'KL-GATE-PUSH-FAIL'])
    const rejected: OwnEvidence = { kind: 'tpm', judged: { kind: 'rejected', reason: 'x' } }
    expect(told(judge(record, 'sha256', shadow, rejected))).toEqual(['refuse', 'KL-PUSH-EVIDENCE-REJECTED'])
    const stale = recordWith({ ...PUSH, attestationStatus: 'TIMEOUT' })
    expect(judge(stale, 'sha256', shadow, PROVED)).toMatchObject({
      kind: 'admit',
      shadowed: [{ code: 'KL-GATE-STATUS-TIMEOUT' }],
    })
  })

  it('names the next step of each', () => {
    expect(entryOf('KL-GATE-PUSH-FAIL').next).toContain('auto_recover_attestation_failures')
    expect(entryOf('KL-GATE-STOPPED').next).toContain('State 10 is not left by reactivate')
  })
})

describe('pushStrength', () => {
  const policy = parseTpmPolicy(`{"mask": "0x80", "7": ["${'ab'.repeat(32)}"]}`)
  const enrolled = recordWith({ ...PUSH, hasMbRefstate: true, hasRuntimePolicy: true })

  it('counts a log only where it came, and the mask for PCRs alone [tpm:push:logs]', () => {
    expect(pushStrength(policy, enrolled, ['tpm_quote'])).toMatchObject({
      bootPcrs: [7],
      measuredBootEnrolled: false,
      runtime: false,
    })
    expect(pushStrength(policy, enrolled, ['tpm_quote', 'uefi_log', 'ima_log'], 'compares')).toMatchObject({
      comparedPcrs: [7],
      measuredBootEnrolled: true,
      measuredBoot: true,
      runtime: true,
    })
    const bare = recordWith(PUSH)
    expect(pushStrength(policy, bare, ['uefi_log', 'ima_log'])).toMatchObject({
      measuredBootEnrolled: false,
      runtime: false,
    })
  })
})

function policyOf(allowed: unknown, mask = '0x80'): Fields {
  return { tpmPolicy: JSON.stringify({ mask, 7: allowed }) }
}

describe('PCRs compared by us', () => {
  const value = Buffer.alloc(32, 0xab)
  const own = (kind: 'sha256' | 'sha384' = 'sha256'): OwnEvidence => ({
    kind: 'tpm',
    pcrs: { bank: kind, values: new Map([[7, kind === 'sha256' ? value : Buffer.alloc(48, 0xab)]]) },
  })

  it.each<[string, Fields, OwnEvidence, readonly string[]]>([
    ['the allowed value', policyOf(['ab'.repeat(32)]), own(), ['admit']],
    ['one of several', policyOf(['00'.repeat(32), 'AB'.repeat(32)]), own(), ['admit']],
    ['another value', policyOf(['00'.repeat(32)]), own(), ['refuse', 'KL-PCR-DIFFERS']],
    ['another value of a PCR that is only quoted', policyOf(['00'.repeat(32)], '0x0'), own(), ['admit']],
    ['values of another bank', policyOf(['00'.repeat(48)]), own(), ['admit']],
    ['a quote of another bank', policyOf(['00'.repeat(32)]), own('sha384'), ['admit']],
    ['an identity quote', policyOf(['00'.repeat(32)]), { kind: 'keylime-agent' }, ['admit']],
    ['no policy', {}, own(), ['admit']],
  ])('%s [tpm:pcr:compared]', (_title, fields, evidence, expected) => {
    expect(told(judge(recordWith(fields), 'sha256', RULES, evidence))).toEqual(expected)
  })

  it('says what was found and what is allowed', () => {
    const decision = judge(recordWith(policyOf(['00'.repeat(32)])), 'sha256', RULES, own())
    expect(decision.kind === 'admit' ? '' : decision.reasons[0].message).toBe(
      `pcr 7 of its quote is ${'ab'.repeat(32)}, the enrolled tpm_policy allows ${'00'.repeat(32)}`,
    )
  })
})
