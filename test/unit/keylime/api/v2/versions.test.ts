import { describe, expect, it } from 'vitest'
import { isAtLeast } from '../../../../../plugins/keylime/api/generation.ts'
import { API_VERSIONS, chooseVersion, isVersionRefused } from '../../../../../plugins/keylime/api/v2/versions.ts'
import { recorded, recordedResults } from '../../../../fakes/recorded.ts'

const who = 'keylime verifier 10.0.0.1:8881'

describe('chooseVersion', () => {
  it.each([
    ['the real verifier', recordedResults('verifier-version'), '2.6'],
    ['the real registrar', recordedResults('registrar-version'), '2.6'],
    ['the real agent', recordedResults('agent-version'), '2.6'],
    ['an agent that names one only', { supported_version: '2.1' }, '2.1'],
    ['Keylime 7.11', { current_version: '2.2', supported_versions: ['1.0', '2.0', '2.1', '2.2'] }, '2.2'],
    [
      'a later one that still speaks 2.6',
      { current_version: '3.1', supported_versions: ['3.1', '2.7', '2.6', '3.0'] },
      '2.6',
    ],
    ['an unordered list', { supported_versions: ['2.2', '2.10', '2.5', '2.4'] }, '2.5'],
  ])('speaks with %s [T82] [P18]', (_who, results, version) => {
    expect(chooseVersion(results, who)).toBe(version)
  })

  it.each([
    [['3.0'], '3.0'],
    [['1.0', '2.0'], '1.0, 2.0'],
  ])('refuses a service that speaks only %j', (versions, shown) => {
    expect(() => chooseVersion({ supported_versions: versions }, who)).toThrow(
      expect.objectContaining({
        code: 'KEYLIME_API_UNSUPPORTED',
        message: `${who} speaks API ${shown}; expected one of 2.1, 2.2, 2.3, 2.4, 2.5, 2.6`,
      }),
    )
  })

  it.each([{}, { supported_versions: 'x' }, { supported_versions: [] }, { supported_versions: [2.6] }])(
    'refuses %j',
    (results) => {
      expect(() => chooseVersion(results, who)).toThrow(
        expect.objectContaining({
          code: 'KEYLIME_BAD_RESPONSE',
          message: `${who} answers /version without supported_versions; is it the right service?`,
        }),
      )
    },
  )
})

describe('isAtLeast', () => {
  it('orders the versions', () => {
    expect(API_VERSIONS.map((version) => isAtLeast(API_VERSIONS, version, '2.3'))).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ])
  })
})

describe('isVersionRefused', () => {
  it.each([
    ['verifier-agent-bad-version', true],
    ['agent-unknown-version', true],
    ['verifier-agent-unknown', false],
    ['agent-bad-nonce', false],
    ['verifier-agent', false],
  ] as const)('judges the recorded %s', (name, refused) => {
    const { status, body, contentType } = recorded(name === 'agent-bad-nonce' ? 'agent-quote-bad-nonce' : name)
    expect(isVersionRefused({ status, body, contentType, server: '', location: '' })).toBe(refused)
  })

  it('knows the sentence of Keylime before 7.14', () => {
    const body = '{"code": 400, "status": "API Version not supported", "results": {}}'
    expect(isVersionRefused({ status: 400, body, contentType: 'application/json', server: '', location: '' })).toBe(
      true,
    )
  })
})
