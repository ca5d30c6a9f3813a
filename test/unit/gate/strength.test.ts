import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTpmPolicy } from '../../../plugins/gate/policy.ts'
import {
  checksNothing,
  describeStrength,
  parseRequirement,
  strengthOf,
  unmetRequirements,
  vouchOf,
} from '../../../plugins/gate/strength.ts'

const DIGEST = 'ab'.repeat(32)
const NOTHING = { hasRuntimePolicy: false, hasMbRefstate: false }
const ALL = { hasRuntimePolicy: true, hasMbRefstate: true }
const MEASURED_BOOT = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]

const idle = (values: readonly string[]): boolean => values.some((one) => /^(0+|f+)$/i.test(one))

describe('strengthOf', () => {
  it('counts the mask of the incident, 0x90, for nothing: PCR 4 and 7 are only quoted [P01] [T79]', () => {
    const strength = strengthOf(parseTpmPolicy('{"mask":"0x90"}'), ALL)
    expect(strength).toMatchObject({
      comparedPcrs: [],
      quotedPcrs: [4, 7],
      measuredBootEnrolled: false,
      runtime: false,
    })
    expect(checksNothing(strength)).toBe(true)
    expect(describeStrength(strength)).toBe(
      'no PCR compared, PCR 4, 7 only quoted, boot log unchecked, IMA log unchecked',
    )
  })

  it('counts a runtime policy only with PCR 10 in the mask [P01]', () => {
    expect(strengthOf(parseTpmPolicy('{"mask":"0x400"}'), ALL).runtime).toBe(true)
    expect(strengthOf(parseTpmPolicy('{"mask":"0x400"}'), NOTHING)).toMatchObject({ runtime: false, quotedPcrs: [10] })
    expect(strengthOf(parseTpmPolicy('{"mask":"0x3ff"}'), ALL).runtime).toBe(false)
  })

  it('counts a boot log only with a reference state and all of its PCRs in the mask [T18]', () => {
    expect(strengthOf(parseTpmPolicy('{"mask":"0xfbff"}'), ALL, 'compares')).toEqual({
      comparedPcrs: [],
      bootPcrs: [],
      quotedPcrs: [],
      measuredBootEnrolled: true,
      measuredBoot: true,
      runtime: false,
    })
    expect(strengthOf(parseTpmPolicy('{"mask":"0xfbfe"}'), ALL, 'compares').measuredBootEnrolled).toBe(false)
    expect(strengthOf(parseTpmPolicy('{"mask":"0xfbff"}'), NOTHING, 'compares').measuredBootEnrolled).toBe(false)
  })

  it('compares a PCR only when it is in the mask, and never PCR 10 or 16', () => {
    const values = [7, 8, 10, 16].map((pcr) => `"${String(pcr)}":"${DIGEST}"`).join(',')
    const strength = strengthOf(parseTpmPolicy(`{"mask":"0x10480",${values}}`), NOTHING)
    expect(strength).toMatchObject({ comparedPcrs: [7], bootPcrs: [7], quotedPcrs: [10] })
  })

  it('claims nothing for a policy that cannot be read', () => {
    expect(checksNothing(strengthOf(undefined, ALL))).toBe(true)
  })

  it('says enrolled, not compared, of a boot log that nobody vouches for [claims:policy:measured-boot]', () => {
    const policy = parseTpmPolicy('{"mask":"0xfbff"}')
    const unsaid = strengthOf(policy, ALL)
    expect(unsaid).toMatchObject({ measuredBootEnrolled: true, measuredBoot: false })
    expect(checksNothing(unsaid)).toBe(false)
    expect(describeStrength(unsaid)).toBe(
      'no PCR compared, boot log has a reference state, and whether anything is compared with it is not shown, IMA log unchecked',
    )
    expect(strengthOf(policy, ALL, vouchOf('example'))).toMatchObject({ measuredBoot: true })
  })

  it('counts a boot log for nothing where the verifier is said to accept all [claims:policy:measured-boot]', () => {
    const strength = strengthOf(parseTpmPolicy('{"mask":"0xfbff"}'), ALL, vouchOf('accept-all'))
    expect(strength).toMatchObject({ measuredBootEnrolled: false, measuredBoot: false, quotedPcrs: MEASURED_BOOT })
    expect(checksNothing(strength)).toBe(true)
    expect(unmetRequirements(strength, ['measured-boot', 'measured-boot-enrolled'])).toHaveLength(2)
  })

  it("counts Keylime's own example, which every PC passes, for nothing [claims:policy:pcr]", () => {
    const strength = strengthOf(
      parseTpmPolicy(
        `{"22":["${'0'.repeat(39)}1","${'f'.repeat(40)}","${'f'.repeat(64)}"],"15":["${'0'.repeat(64)}"]}`,
      ),
      NOTHING,
    )
    expect(strength).toMatchObject({ comparedPcrs: [15, 22], bootPcrs: [] })
    expect(checksNothing(strength)).toBe(true)
    expect(describeStrength(strength)).toBe(
      'no PCR that tells of the boot compared, PCR 15, 22 compared with what any PC has or any process can set, boot log unchecked, IMA log unchecked',
    )
  })

  it('meets "pcr" by PCR 0-9 and 11-14 alone, and by no value of an untouched PCR [claims:policy:pcr]', () => {
    const hex = fc.constantFrom('0', 'f', 'F', 'a').map((digit) => digit.repeat(64))
    const value = fc.oneof(hex, fc.constant(DIGEST), fc.constant(`${'0'.repeat(63)}1`))
    const members = fc.dictionary(
      fc.integer({ min: 0, max: 23 }).map(String),
      fc.array(value, { minLength: 1, maxLength: 3 }),
    )
    fc.assert(
      fc.property(members, (allowed) => {
        const boot = Object.entries(allowed).filter(
          ([pcr, values]) => Number(pcr) <= 14 && Number(pcr) !== 10 && !idle(values),
        )
        const strength = strengthOf(parseTpmPolicy(JSON.stringify(allowed)), NOTHING)
        expect(unmetRequirements(strength, ['pcr'])).toEqual(boot.length > 0 ? [] : ['pcr'])
      }),
    )
  })
})

describe('parseRequirement', () => {
  it.each(['pcr', 'pcr:0', 'pcr:7', 'pcr:23', 'measured-boot', 'measured-boot-enrolled', 'runtime'])(
    'takes %s',
    (text) => {
      expect(parseRequirement(text)).toBe(text)
    },
  )
  it.each(['', 'PCR', 'pcr:', 'pcr:24', 'pcr:07', 'pcr:10', 'pcr:16', 'pcr:-1', 'ima', 'measured_boot'])(
    'refuses %j',
    (text) => {
      expect(parseRequirement(text)).toBeUndefined()
    },
  )
})

describe('unmetRequirements', () => {
  it('does not take PCR 23, which any process can reset, for "pcr", and does when it is asked for by number', () => {
    const policy = parseTpmPolicy(`{"mask": "0x800000", "23": "${DIGEST}"}`)
    const strength = strengthOf(policy, { hasRuntimePolicy: false, hasMbRefstate: false })
    expect(unmetRequirements(strength, ['pcr', 'pcr:23'])).toEqual(['pcr'])
  })

  it('lists what is asked for and not checked, in order', () => {
    const strength = strengthOf(parseTpmPolicy(`{"mask":"0x480","7":"${DIGEST}"}`), ALL)
    expect(unmetRequirements(strength, ['measured-boot', 'pcr', 'pcr:7', 'pcr:4', 'runtime'])).toEqual([
      'measured-boot',
      'pcr:4',
    ])
  })
})
