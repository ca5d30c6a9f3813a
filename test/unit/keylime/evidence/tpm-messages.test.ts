import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import {
  encodeChallenge,
  encodePayload,
  parseChallenge,
  parsePayload,
} from '../../../../plugins/keylime/evidence/messages.ts'
import { outcomeOf } from '../../../../test/unit/tpm/outcome.ts'

const identity = { agentId: parseAgentId('node-1'), hashAlg: 'sha256' } as const
const keys = { ek: Buffer.from([0, 1, 2, 0xff]), ak: Buffer.from([0x80, 9]) }
const task = { bank: 'sha256', pcrs: [0, 7, 23], credential: Buffer.from([1]), secret: Buffer.from([0xfe, 2]) } as const

const NOT_PCRS = 'challenge field PCRs is not a list of PCRs: expected ascending numbers below 24, such as 0,2,7'

function edited(bytes: Buffer, fields: Readonly<Record<string, unknown>>): Buffer {
  const coded = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? Buffer.from(value).toString('base64') : value,
  ])
  return Buffer.from(JSON.stringify({ ...(JSON.parse(bytes.toString()) as object), ...Object.fromEntries(coded) }))
}

describe('messages of tpm/1', () => {
  it('carry keys and task there and back, beside what every half knows', () => {
    expect(parsePayload(encodePayload({ ...identity, keys }))).toEqual({ ...identity, keys })
    expect(parseChallenge(encodeChallenge({ nonce: 'AAAA', task }))).toEqual({ nonce: 'AAAA', task })
  })

  it('have the names and forms that both halves agreed on', () => {
    expect(JSON.parse(encodePayload({ ...identity, keys }).toString())).toEqual({
      AgentID: 'bm9kZS0x',
      HashAlg: 'c2hhMjU2',
      Evidence: 'dHBtLzE=',
      EK: 'AAEC/w==',
      AK: 'gAk=',
    })
    expect(JSON.parse(encodeChallenge({ nonce: 'AAAA', task }).toString())).toEqual({
      Nonce: 'QUFBQQ==',
      Evidence: 'dHBtLzE=',
      PCRBank: 'c2hhMjU2',
      PCRs: 'MCw3LDIz',
      Credential: 'AQ==',
      CredentialSecret: '/gI=',
    })
  })

  it('are those of an older half without them [tpm:messages:older-halves]', () => {
    expect(parsePayload(encodePayload(identity))).toEqual(identity)
    expect(parseChallenge(encodeChallenge({ nonce: 'AAAA' }))).toEqual({ nonce: 'AAAA' })
    expect(JSON.parse(encodePayload(identity).toString())).toEqual({ AgentID: 'bm9kZS0x', HashAlg: 'c2hhMjU2' })
  })

  it('of a later version are taken as those of an older half [tpm:messages:older-halves]', () => {
    const later = edited(encodePayload({ ...identity, keys }), { Evidence: 'tpm/2', EK: 7 })
    expect(parsePayload(later)).toEqual(identity)
    expect(parseChallenge(edited(encodeChallenge({ nonce: 'AAAA', task }), { Evidence: 'tpm/2' }))).toEqual({
      nonce: 'AAAA',
    })
  })

  it.each([
    ['EK', undefined, 'payload lacks field EK'],
    ['AK', null, 'payload lacks field AK'],
    ['AK', 5, 'payload field AK is not a base64 string'],
    ['AK', '', 'payload field AK is empty'],
    ['EK', 'x'.repeat(1025), 'payload field EK: expected at most 1024 bytes, found 1025'],
  ])('refuse a payload whose %s is %s', (field, value, message) => {
    expect(outcomeOf(() => parsePayload(edited(encodePayload({ ...identity, keys }), { [field]: value })))).toBe(
      `KEYLIME_BAD_MESSAGE: ${message}`,
    )
  })

  it.each<[string, string | undefined, string]>([
    ['PCRBank', 'md5', 'challenge field PCRBank is not a TPM hash algorithm: expected one such as sha256'],
    ['PCRs', '', 'challenge field PCRs is empty'],
    ...['24', '-1', '7,0', '0,0', '0, 7', '07', '0,', '100'].map((pcrs): [string, string, string] => [
      'PCRs',
      pcrs,
      NOT_PCRS,
    ]),
    ['Credential', undefined, 'challenge lacks field Credential'],
    ['CredentialSecret', undefined, 'challenge lacks field CredentialSecret'],
  ])('refuse a challenge whose %s is "%s"', (field, value, message) => {
    const bytes = edited(encodeChallenge({ nonce: 'AAAA', task }), { [field]: value })
    expect(outcomeOf(() => parseChallenge(bytes))).toBe(`KEYLIME_BAD_MESSAGE: ${message}`)
  })

  it('carry any selection of PCRs', () => {
    const selections = fc.uniqueArray(fc.nat(23), { minLength: 1 }).map((pcrs) => pcrs.toSorted((a, b) => a - b))
    fc.assert(
      fc.property(selections, (pcrs) => {
        expect(parseChallenge(encodeChallenge({ nonce: 'A', task: { ...task, pcrs } })).task?.pcrs).toEqual(pcrs)
      }),
    )
  })
})
