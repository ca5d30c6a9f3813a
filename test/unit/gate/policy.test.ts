import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTpmPolicy, TpmPolicyError } from '../../../plugins/gate/policy.ts'

const DIGEST = 'ab'.repeat(32)

describe('parseTpmPolicy', () => {
  it('gives equal policies one canonical form and hash, whatever their spelling', () => {
    const spellings = [
      `{"mask":"0x480","7":["${DIGEST}"]}`,
      `{"7": "${DIGEST.toUpperCase()}", "mask": "0X0480"}`,
      `{ "7": ["${DIGEST}", "${DIGEST}"], "mask": "0x480" }`,
    ]
    const policies = spellings.map((text) => parseTpmPolicy(text))
    expect(new Set(policies.map((policy) => policy.canonical))).toEqual(new Set([`{"mask":"0x480","7":["${DIGEST}"]}`]))
    expect(new Set(policies.map((policy) => policy.sha256)).size).toBe(1)
    expect(policies[0]?.sha256).toMatch(/^[0-9a-f]{64}$/)
  })

  it('orders PCRs by number and values by text', () => {
    const low = '11'.repeat(32)
    expect(parseTpmPolicy(`{"10":[],"22":["${DIGEST}","${low}"],"2":"${low}","mask":"0x400004"}`).canonical).toBe(
      `{"mask":"0x400004","2":["${low}"],"22":["${low}","${DIGEST}"]}`,
    )
  })

  it('makes the mask of the PCRs listed when it is left out, as keylime_tenant does', () => {
    expect(parseTpmPolicy(`{"0":"${DIGEST}","7":"${DIGEST}"}`).mask).toBe(0x81)
    expect(parseTpmPolicy('{}').canonical).toBe('{"mask":"0x0"}')
  })

  it.each([
    ['', 'not valid JSON'],
    ['None', 'not valid JSON'],
    ['[]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['7', 'not a JSON object'],
    ['{"mask":"90"}', 'mask "90" is not hex such as "0x480"'],
    ['{"mask":144}', 'mask 144 is not hex such as "0x480"'],
    ['{"mask":null}', 'mask null is not hex such as "0x480"'],
    ['{"mask":"0x1000000"}', 'mask "0x1000000" names a PCR above 23'],
    ['{"mask":"0x0","24":[]}', 'key "24" is neither "mask" nor a PCR number from 0 to 23'],
    ['{"mask":"0x0","pcr7":[]}', 'key "pcr7" is neither "mask" nor a PCR number from 0 to 23'],
    ['{"mask":"0x80","7":["xyz"]}', 'PCR 7 has the value "xyz", expected a digest of 40 to 128 hex digits'],
    ['{"mask":"0x80","7":[5]}', 'PCR 7 has the value 5, expected a digest of 40 to 128 hex digits'],
  ])('refuses %s', (text, message) => {
    expect(() => parseTpmPolicy(text)).toThrow(new TpmPolicyError(message))
  })

  it('refuses an endless text before parsing it', () => {
    expect(() => parseTpmPolicy('x'.repeat(70_000))).toThrow(new TpmPolicyError('longer than 65536 characters'))
  })

  it('ends every text in a policy or a TpmPolicyError', () => {
    const member = fc.tuple(
      fc.oneof(fc.constantFrom('mask', '0', '7', '10', '23', '__proto__'), fc.string()),
      fc.oneof(fc.constantFrom('0x0', '0x480', DIGEST, [DIGEST], []), fc.jsonValue()),
    )
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.array(member).map((members) => JSON.stringify(Object.fromEntries(members))),
    )
    fc.assert(
      fc.property(texts, (text) => {
        expect(outcomeOf(text)).toMatch(/^(canonical|TpmPolicyError)$/)
      }),
    )
  })
})

function outcomeOf(text: string): string {
  try {
    const { canonical } = parseTpmPolicy(text)
    return parseTpmPolicy(canonical).canonical === canonical ? 'canonical' : 'not canonical'
  } catch (error) {
    return error instanceof Error ? error.name : 'no error'
  }
}
