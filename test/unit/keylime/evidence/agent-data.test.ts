import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAgentData } from '../../../../plugins/keylime/evidence/agent-data.ts'
import { keyFileText } from '../../../../test/fakes/key-file.ts'
import { outcomeOf } from '../../../../test/unit/tpm/outcome.ts'

const publicArea = Buffer.from('0003010203', 'hex')
const privateArea = Buffer.from('0002fffe', 'hex')
const text = keyFileText({ publicArea, privateArea, ekHash: 'ab'.repeat(32) })

function edited(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...(JSON.parse(text) as object), ...fields })
}

describe('parseAgentData', () => {
  it('reads both areas with their lengths, the hash and the ID', () => {
    expect(parseAgentData(text)).toEqual({ publicArea, privateArea, hashAlg: 'sha256', ekHash: 'ab'.repeat(32) })
  })

  it('ignores fields it does not need', () => {
    expect(parseAgentData(edited({ ak_sign_alg: 7, later: {} }))).toEqual(parseAgentData(text))
  })

  it.each([
    ['no JSON', '{', 'its JSON'],
    ['a list', '[]', 'ak_hash_alg'],
    ['no key', edited({ ak_public: undefined }), 'ak_public'],
    ['an empty key', edited({ ak_private: [] }), 'ak_private'],
    ['a key of other than bytes', edited({ ak_public: [256] }), 'ak_public.0'],
    ['a key that is too long', edited({ ak_public: Array.from({ length: 2049 }, () => 1) }), 'ak_public'],
    ['a hash that no TPM has', edited({ ak_hash_alg: 'md5' }), 'ak_hash_alg'],
    ['an ID of another length', edited({ ek_hash: [65] }), 'ek_hash'],
    ['an ID that is not hex', edited({ ek_hash: Array.from({ length: 64 }, () => 0x47) }), 'ek_hash'],
  ])('refuses %s', (_title, content, field) => {
    expect(outcomeOf(() => parseAgentData(content))).toBe(
      `KEYLIME_BAD_RESPONSE: it is not the file of a keylime agent's attestation key: ${field} is missing or of another form`,
    )
  })

  it('refuses every half of a file, and never says what was in it', () => {
    for (let length = 0; length < text.length; length++) {
      const outcome = outcomeOf(() => parseAgentData(text.slice(0, length)))
      expect(outcome).toMatch(/^KEYLIME_BAD_RESPONSE: it is not the file/)
    }
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(outcomeOf(() => parseAgentData(json))).toMatch(/^KEYLIME_BAD_RESPONSE: it is not the file/)
      }),
    )
  })
})
