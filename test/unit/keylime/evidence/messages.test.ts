import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import {
  encodeChallenge,
  encodeChallengeResponse,
  encodePayload,
  MAX_MESSAGE_BYTES,
  parseChallenge,
  parseChallengeResponse,
  parsePayload,
} from '../../../../plugins/keylime/evidence/messages.ts'
import { outcomeOf } from '../../tpm/outcome.ts'

const b64 = (text: string): string => Buffer.from(text).toString('base64')
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const payload = (fields: Readonly<Record<string, unknown>>): Buffer =>
  json({ AgentID: b64('node-1'), HashAlg: b64('sha256'), ...fields })

describe('encodePayload', () => {
  it('writes what the Go server half reads, byte for byte', () => {
    const bytes = encodePayload({ agentId: parseAgentId('node-1'), hashAlg: 'sha256' })
    expect(bytes.toString()).toBe('{"AgentID":"bm9kZS0x","HashAlg":"c2hhMjU2"}')
  })
})

describe('parsePayload', () => {
  it('reads what the Go agent half writes, and ignores fields it does not know', () => {
    expect(parsePayload(payload({}))).toEqual({ agentId: 'node-1', hashAlg: 'sha256' })
    expect(parsePayload(payload({ Version: 2, Extra: { a: [] } }))).toEqual({ agentId: 'node-1', hashAlg: 'sha256' })
  })

  it.each([
    ['an empty message', Buffer.alloc(0), 'payload is not valid JSON'],
    ['text that is not JSON', Buffer.from('{'), 'payload is not valid JSON'],
    ['bytes that are not UTF-8', Buffer.from('{"AgentID":"\xff"}', 'latin1'), 'payload is not valid JSON'],
    ['a byte order mark', Buffer.from('\ufeff{}'), 'payload is not valid JSON'],
    ['a second value', Buffer.from('{}{}'), 'payload is not valid JSON'],
    ['a list', json([]), 'payload is not a JSON object'],
    ['null', json(null), 'payload is not a JSON object'],
    ['a text', json('AgentID'), 'payload is not a JSON object'],
    ['no agent ID', json({ HashAlg: b64('sha256') }), 'payload lacks field AgentID'],
    ['an agent ID of null', payload({ AgentID: null }), 'payload lacks field AgentID'],
    [
      'an agent ID under a name of other case',
      json({ agentid: b64('a'), HashAlg: b64('sha256') }),
      'payload lacks field AgentID',
    ],
    ['a number for agent ID', payload({ AgentID: 7 }), 'payload field AgentID is not a base64 string'],
    ['an object for agent ID', payload({ AgentID: {} }), 'payload field AgentID is not a base64 string'],
    ['an empty agent ID', payload({ AgentID: '' }), 'payload field AgentID is empty'],
    [
      'base64 without padding',
      payload({ AgentID: 'bm9kZS0xMA' }),
      'payload field AgentID is not padded standard base64',
    ],
    ['base64 for URLs', payload({ AgentID: '_-8=' }), 'payload field AgentID is not padded standard base64'],
    [
      'base64 with a line break',
      payload({ AgentID: 'bm9k\nZS0x' }),
      'payload field AgentID is not padded standard base64',
    ],
    [
      'base64 with loose last bits',
      payload({ AgentID: 'YR==' }),
      'payload field AgentID is not padded standard base64',
    ],
    [
      'an agent ID outside ASCII',
      payload({ AgentID: b64('nöde') }),
      'payload field AgentID holds other than ASCII text',
    ],
    ['no hash', payload({ HashAlg: undefined }), 'payload lacks field HashAlg'],
    [
      'an unknown hash',
      payload({ HashAlg: b64('md5') }),
      'payload field HashAlg is not a TPM hash algorithm: expected one such as sha256',
    ],
    [
      'a hash named after an object member',
      payload({ HashAlg: b64('constructor') }),
      'payload field HashAlg is not a TPM hash algorithm: expected one such as sha256',
    ],
    [
      'more than 64 KiB',
      payload({ Extra: 'x'.repeat(MAX_MESSAGE_BYTES) }),
      `payload is too large: expected at most 65536 bytes, found ${65_536 + 54}`,
    ],
  ])('refuses %s', (_title, bytes, message) => {
    expect(outcomeOf(() => parsePayload(bytes))).toBe(`KEYLIME_BAD_MESSAGE: ${message}`)
  })

  it('refuses an agent ID that is no URL path segment', () => {
    expect(outcomeOf(() => parsePayload(payload({ AgentID: b64('../agents') })))).toMatch(
      /^KEYLIME_BAD_MESSAGE: agent id "..\/agents" is not usable/,
    )
  })

  it('is not moved by names that reach prototypes', () => {
    const text = `{"__proto__":{"AgentID":"${b64('evil')}"},"constructor":{"prototype":{"HashAlg":"x"}}}`
    expect(outcomeOf(() => parsePayload(Buffer.from(text)))).toBe('KEYLIME_BAD_MESSAGE: payload lacks field AgentID')
    expect(Object.hasOwn(Object.prototype, 'AgentID')).toBe(false)
  })

  it('survives the deepest nesting that fits', () => {
    const deep = Buffer.from('['.repeat(MAX_MESSAGE_BYTES))
    expect(outcomeOf(() => parsePayload(deep))).toBe('KEYLIME_BAD_MESSAGE: payload is not valid JSON')
  })

  it('never throws anything but a typed error, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
    )
    fc.assert(
      fc.property(bytes, (given) => {
        for (const parse of [parsePayload, parseChallenge, parseChallengeResponse]) {
          expect(outcomeOf(() => parse(given))).toMatch(/^(?:accepted$|KEYLIME_BAD_MESSAGE: )/)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('parseChallenge', () => {
  it('reads a nonce of either server half', () => {
    expect(parseChallenge(encodeChallenge({ nonce: 'ABC234' }))).toEqual({ nonce: 'ABC234' })
    expect(parseChallenge(json({ Nonce: b64('ABC234') }))).toEqual({ nonce: 'ABC234' })
  })

  it.each([
    ['more parameters of the URL', 'A&mask=0x1'],
    ['a path', '../keys/pubkey'],
    ['65 characters', 'A'.repeat(65)],
    ['white space', 'A B'],
  ])('refuses a nonce that holds %s', (_title, nonce) => {
    expect(outcomeOf(() => parseChallenge(json({ Nonce: b64(nonce) })))).toBe(
      'KEYLIME_BAD_MESSAGE: challenge field Nonce is not usable: expected 1 to 64 ASCII letters and digits',
    )
  })
})

describe('parseChallengeResponse', () => {
  it('reads the response of a Go agent half, which has no public key', () => {
    expect(parseChallengeResponse(json({ TPMQuote: b64('rA:B:C') }))).toEqual({ quote: 'rA:B:C' })
    for (const empty of [null, '']) {
      expect(parseChallengeResponse(json({ TPMQuote: b64('rA:B:C'), PubKey: empty }))).toEqual({ quote: 'rA:B:C' })
    }
  })

  it('reads back what we write', () => {
    const ascii = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 500 })
    fc.assert(
      fc.property(ascii, fc.option(ascii, { nil: undefined }), (quote, pubkey) => {
        const response = pubkey === undefined ? { quote } : { quote, pubkey }
        expect(parseChallengeResponse(encodeChallengeResponse(response))).toEqual(response)
      }),
    )
  })

  it('refuses a public key of another form', () => {
    const outcome = outcomeOf(() => parseChallengeResponse(json({ TPMQuote: b64('r'), PubKey: ['x'] })))
    expect(outcome).toBe('KEYLIME_BAD_MESSAGE: challenge response field PubKey is not a base64 string')
  })
})

describe('encodeChallengeResponse', () => {
  it('blames the Keylime agent for a quote that no message can hold', () => {
    expect(outcomeOf(() => encodeChallengeResponse({ quote: 'r'.repeat(50_000) }))).toMatch(
      /^KEYLIME_BAD_RESPONSE: challenge response is too large to send: expected at most 65536 bytes, found \d+$/,
    )
  })
})
