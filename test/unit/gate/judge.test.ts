import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryOf } from '../../../plugins/gate/catalogue/catalogue.ts'
import { type GateRules, type Judgement, judge, maxAgeMs } from '../../../plugins/gate/judge.ts'
import { parseTpmPolicy } from '../../../plugins/gate/policy.ts'
import { agentRecord, NOW_S } from '../server-attestor/agent-record.ts'
import { holding } from '../server-attestor/expecting.ts'

const RULES: GateRules = { requirePolicy: [], enforce: true }

function codes(decision: Judgement): readonly string[] {
  return decision.kind === 'admit' ? [] : decision.reasons.map((reason) => reason.code)
}

describe('judge', () => {
  describe('by state alone, all else healthy [T32] [P02] [T78]', () => {
    const table: readonly [state: number | null, event: string | null, status: string, code: string | undefined][] = [
      [0, null, 'not-yet', 'KL-GATE-PENDING'],
      [1, null, 'not-yet', 'KL-GATE-PENDING'],
      [2, null, 'not-yet', 'KL-GATE-PENDING'],
      [3, null, 'admit', undefined],
      [4, null, 'not-yet', 'KL-GATE-PENDING'],
      [5, null, 'admit', undefined],
      [6, null, 'not-yet', 'KL-GATE-PENDING'],
      [7, null, 'refuse', 'KL-GATE-FAILED'],
      [7, 'internal.verifier.no_quote', 'refuse', 'KL-GATE-FAILED'],
      [7, 'internal.verifier.not_reachable', 'not-yet', 'KL-GATE-UNREACHABLE'],
      [7, 'internal.verifier.not_reachable.timeout', 'not-yet', 'KL-GATE-UNREACHABLE'],
      [8, null, 'not-yet', 'KL-GATE-PENDING'],
      [9, 'qoute_validation.quote_validation', 'refuse', 'KL-GATE-INVALID-QUOTE'],
      [9, 'internal.verifier.not_reachable', 'refuse', 'KL-GATE-INVALID-QUOTE'],
      [10, null, 'refuse', 'KL-GATE-STOPPED'],
      [11, null, 'not-yet', 'KL-GATE-UNKNOWN-STATE'],
      [-1, null, 'not-yet', 'KL-GATE-UNKNOWN-STATE'],
      [3.5, null, 'not-yet', 'KL-GATE-UNKNOWN-STATE'],
      [Number.NaN, null, 'not-yet', 'KL-GATE-UNKNOWN-STATE'],
      [null, null, 'not-yet', 'KL-GATE-UNKNOWN-STATE'],
    ]
    it.each(table)('state %s with last event %s: %s %s', (operationalState, lastEventId, status, code) => {
      const decision = judge(
        agentRecord({ operationalState, ...(lastEventId === null ? {} : { lastEventId }) }),
        'sha256',
        RULES,
      )
      expect(decision.kind).toBe(status)
      expect(codes(decision)).toEqual(code === undefined ? [] : [code])
    })
  })

  describe('over states, counts, ages and statuses together', () => {
    const states = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, null]
    const counts = [undefined, 0, 1, 400]
    const ages = [undefined, 0, 19, 20, 30, 31, 3_600, -60, -61]
    const statuses = [undefined, 'PASS', 'FAIL', 'PENDING', 'TIMEOUT', 'SOMETHING']
    const events = [undefined, 'internal.verifier.not_reachable', 'pcr_validation.invalid_pcr_7']
    const cases = states.flatMap((state) =>
      counts.flatMap((count) =>
        ages.flatMap((age) =>
          statuses.flatMap((status) => events.map((event) => ({ state, count, age, status, event }))),
        ),
      ),
    )

    // The table of design section 5, said once more in other words.
    function expected(one: (typeof cases)[number]): string {
      const lost = one.state === 7 && one.event === 'internal.verifier.not_reachable'
      const verdict =
        one.state === 9 || one.state === 10 || (one.state === 7 && !lost) || (one.status === 'FAIL' && !lost)
      if (verdict) return 'refuse'
      const good = one.state === 3 || one.state === 5
      const counted = one.count !== undefined && one.count > 0
      const fresh = one.age !== undefined && one.age <= 30 && one.age >= -60
      const agrees = one.status === undefined || one.status === 'PASS'
      return good && counted && fresh && agrees ? 'admit' : 'not-yet'
    }

    it(`answers all ${String(cases.length)} combinations as the design's table does [T32] [T77] [P03]`, () => {
      const wrong = cases.filter((one) => {
        const decision = judge(
          agentRecord({
            operationalState: one.state,
            attestationCount: one.count,
            lastSuccessfulAttestation: one.age === undefined ? undefined : NOW_S - one.age,
            attestationStatus: one.status,
            lastEventId: one.event,
          }),
          'sha256',
          RULES,
        )
        return decision.kind !== expected(one)
      })
      expect(wrong).toEqual([])
    })

    it('never admits in shadow mode what the Go plugin refuses, and never refuses more than when enforcing', () => {
      for (const one of cases) {
        const record = agentRecord({
          operationalState: one.state,
          attestationCount: one.count,
          lastSuccessfulAttestation: one.age === undefined ? undefined : NOW_S - one.age,
          attestationStatus: one.status,
          lastEventId: one.event,
        })
        const shadow = judge(record, 'sha256', { ...RULES, enforce: false })
        const strict = judge(record, 'sha256', RULES)
        expect(shadow.kind === 'admit').toBe(one.state === 3 || one.state === 5)
        expect([...codes(shadow), ...shadow.shadowed.map((reason) => reason.code)].toSorted()).toEqual(
          [...codes(strict)].toSorted(),
        )
      }
    })
  })

  describe('by freshness [T77] [P03]', () => {
    it.each([
      ['10 s interval of the record', 10_000, undefined, 30_000],
      ['15 s interval of the record', 15_000, undefined, 30_000],
      ['60 s interval of the record', 60_000, undefined, 120_000],
      ['no interval (verifier before 7.14.0)', undefined, undefined, 60_000],
      ['max_attestation_age', 60_000, 7_000, 7_000],
    ])('takes the limit from %s', (_, maximumAttestationIntervalMs, maxAttestationAgeMs, limitMs) => {
      const rules = { ...RULES, ...(maxAttestationAgeMs === undefined ? {} : { maxAttestationAgeMs }) }
      const aged = (age: number) =>
        agentRecord({ maximumAttestationIntervalMs, lastSuccessfulAttestation: NOW_S - age })
      expect(maxAgeMs(aged(0), rules)).toBe(limitMs)
      expect(judge(aged(limitMs / 1_000), 'sha256', rules).kind).toBe('admit')
      const late = judge(aged(limitMs / 1_000 + 1), 'sha256', rules)
      expect(late).toMatchObject({
        kind: 'not-yet',
        reasons: [
          {
            code: 'KL-GATE-STALE',
            message: `last successful attestation is ${String(limitMs / 1_000 + 1)} s old, the limit is ${String(limitMs / 1_000)} s`,
          },
        ],
      })
    })

    it('refuses a success more than 60 s in the future of the verifier', () => {
      expect(judge(agentRecord({ lastSuccessfulAttestation: NOW_S + 60 }), 'sha256', RULES).kind).toBe('admit')
      expect(judge(agentRecord({ lastSuccessfulAttestation: NOW_S + 61 }), 'sha256', RULES)).toMatchObject({
        kind: 'not-yet',
        reasons: [{ code: 'KL-GATE-FUTURE', message: holding('61 s in the future') }],
      })
    })

    it('refuses when the answer carries no time', () => {
      const decision = judge(agentRecord({ receivedAt: undefined }), 'sha256', RULES)
      expect(codes(decision)).toEqual(['KL-GATE-NO-CLOCK'])
      expect(decision.kind).toBe('not-yet')
    })

    it.each([undefined, 0, Number.NaN, -5])('refuses when the last success is %s', (lastSuccessfulAttestation) => {
      expect(codes(judge(agentRecord({ lastSuccessfulAttestation }), 'sha256', RULES))).toEqual(['KL-GATE-NEVER'])
    })

    it('refuses a node that is enrolled and was never reached, though its state reads like success [T78]', () => {
      const decision = judge(
        agentRecord({ operationalState: 3, attestationCount: 0, lastSuccessfulAttestation: 0 }),
        'sha256',
        RULES,
      )
      expect(codes(decision)).toEqual(['KL-GATE-COUNT-ZERO', 'KL-GATE-NEVER'])
      expect(decision.kind).toBe('not-yet')
    })
  })

  describe('in push mode', () => {
    it('refuses by name, whatever else the record says', () => {
      const decision = judge(agentRecord({ ip: undefined, port: undefined }), 'sha256', RULES)
      expect(decision).toMatchObject({
        kind: 'not-yet',
        reasons: [{ code: 'KL-GATE-PUSH-MODE', message: holding('set evidence = "tpm"') }],
      })
    })
  })

  it.each([
    ['TIMEOUT', 'not-yet', 'KL-GATE-STATUS-TIMEOUT', 'keylime reports attestation_status TIMEOUT'],
    ['PENDING', 'not-yet', 'KL-GATE-STATUS-PENDING', 'keylime reports attestation_status PENDING'],
    ['FAIL', 'refuse', 'KL-GATE-STATUS-FAIL', 'keylime reports attestation_status FAIL'],
    [
      'pass',
      'not-yet',
      'KL-GATE-STATUS-UNKNOWN',
      'the verifier reports an attestation_status this plugin does not know: "pass"',
    ],
  ])('refuses attestation_status %s though the state reads like success', (attestationStatus, kind, code, message) => {
    const decision = judge(agentRecord({ attestationStatus }), 'sha256', RULES)
    expect(decision).toMatchObject({ kind, reasons: [{ code, message }] })
  })

  describe('by policy [P01] [T79] [T18]', () => {
    const hollow = { tpmPolicy: '{"mask": "0x90"}', hasRuntimePolicy: true, hasMbRefstate: true }

    it('admits a policy that checks nothing unless more is required, and says so', () => {
      const decision = judge(agentRecord(hollow), 'sha256', RULES)
      expect(decision.kind).toBe('admit')
      expect(decision.policy.strength).toMatchObject({
        comparedPcrs: [],
        quotedPcrs: [4, 7],
        measuredBoot: false,
        runtime: false,
      })
    })

    it.each(['pcr', 'pcr:7', 'measured-boot', 'runtime'] as const)('refuses it when %s is required', (requirement) => {
      const decision = judge(agentRecord(hollow), 'sha256', { ...RULES, requirePolicy: [requirement] })
      expect(decision).toMatchObject({
        kind: 'refuse',
        reasons: [
          {
            code: 'KL-POLICY-WEAK',
            message:
              `its enrolled policy does not check ${requirement}; it is: ` +
              'no PCR compared, PCR 4, 7 only quoted, boot log unchecked, IMA log unchecked',
          },
        ],
      })
    })

    it('admits the pinned policy in any spelling and refuses another [P08]', () => {
      const digest = 'ab'.repeat(32)
      const rules = { ...RULES, pinnedPolicy: parseTpmPolicy(`{"7":["${digest}"]}`) }
      const same = agentRecord({ tpmPolicy: `{"mask": "0x0080", "7": ["${digest.toUpperCase()}", "${digest}"]}` })
      expect(judge(same, 'sha256', rules).kind).toBe('admit')
      const other = judge(agentRecord({ tpmPolicy: '{"mask": "0x80"}' }), 'sha256', rules)
      expect(other).toMatchObject({
        kind: 'refuse',
        reasons: [
          {
            code: 'KL-POLICY-DIFFERS',
            message: `its enrolled tpm_policy is {"mask":"0x80"}, pinned is {"mask":"0x80","7":["${digest}"]}`,
          },
        ],
      })
    })

    it('lets nothing of a policy that cannot be read count, which is no verdict on the node', () => {
      const record = agentRecord({ tpmPolicy: 'None', hasRuntimePolicy: true })
      const lenient = judge(record, 'sha256', RULES)
      expect(lenient).toMatchObject({ kind: 'admit', policy: { unreadable: 'not valid JSON' } })
      const refused = {
        kind: 'not-yet',
        reasons: [
          {
            code: 'KL-POLICY-UNREADABLE',
            message: 'its enrolled tpm_policy cannot be read, so nothing of it counts as checked: not valid JSON',
          },
        ],
      }
      expect(judge(record, 'sha256', { ...RULES, requirePolicy: ['runtime'] })).toMatchObject(refused)
      const pinnedPolicy = parseTpmPolicy('{"mask": "0x80"}')
      expect(judge(record, 'sha256', { ...RULES, pinnedPolicy })).toMatchObject(refused)
      const shadow = judge(record, 'sha256', { ...RULES, pinnedPolicy, enforce: false })
      expect(shadow).toMatchObject({ kind: 'admit', shadowed: refused.reasons })
    })

    it('refuses a quote whose hash the enrolment does not accept', () => {
      const decision = judge(agentRecord({ acceptTpmHashAlgs: ['sha512'] }), 'sha256', RULES)
      expect(decision).toMatchObject({
        kind: 'refuse',
        reasons: [{ code: 'KL-GATE-HASH-ALG', message: 'its quote uses sha256, the enrolment accepts sha512' }],
      })
    })
  })

  it('puts a verdict first and names every other clause after it', () => {
    const decision = judge(
      agentRecord({ operationalState: 1, attestationStatus: 'PENDING', lastSuccessfulAttestation: NOW_S - 500 }),
      'sha256',
      { ...RULES, requirePolicy: ['runtime'] },
    )
    expect(decision.kind).toBe('refuse')
    expect(codes(decision)).toEqual(['KL-POLICY-WEAK', 'KL-GATE-PENDING', 'KL-GATE-STALE', 'KL-GATE-STATUS-PENDING'])
  })

  it('fails closed on any record: admits only state 3 or 5, counted, fresh and passing', () => {
    const anything = fc.record({
      operationalState: fc.oneof(fc.integer(), fc.constant(null), fc.double()),
      attestationCount: fc.option(fc.oneof(fc.integer(), fc.double()), { nil: undefined }),
      lastSuccessfulAttestation: fc.option(fc.oneof(fc.integer(), fc.double()), { nil: undefined }),
      attestationStatus: fc.option(fc.string(), { nil: undefined }),
      maximumAttestationIntervalMs: fc.option(fc.nat(100_000), { nil: undefined }),
      receivedAt: fc.option(fc.integer(), { nil: undefined }),
      tpmPolicy: fc.string(),
      lastEventId: fc.option(fc.string(), { nil: undefined }),
    })
    fc.assert(
      fc.property(anything, (changes) => {
        const decision = judge(agentRecord(changes), 'sha256', RULES)
        const admitted = decision.kind === 'admit'
        const good = [3, 5].includes(changes.operationalState ?? 0) && (changes.attestationCount ?? 0) > 0
        expect(admitted && !good).toBe(false)
        const told = decision.kind === 'admit' ? [] : decision.reasons
        expect(told.filter(({ message }) => /\p{Cc}/u.test(message))).toEqual([])
        const verdict = told[0] !== undefined && entryOf(told[0].code).status === 'PERMISSION_DENIED'
        expect(told[0] === undefined ? 'admit' : verdict ? 'refuse' : 'not-yet').toBe(decision.kind)
      }),
    )
  })
})
