import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DEFAULT_AGENT_UUID, ekUuid, isAgentId, parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { parseTpm2bPublic } from '../../../../plugins/tpm/public.ts'
import { outcomeOf } from '../../tpm/outcome.ts'
import { RECORDED_RECORD } from '../../tpm/recorded-node.ts'

describe('parseAgentId', () => {
  it.each(['a', 'A0', '0.a_b-c', 'd432fbb3-d2f1-4a97-9ef7-75bd81c00000', RECORDED_RECORD.agentId, 'x'.repeat(80)])(
    'takes %s',
    (text) => {
      expect(parseAgentId(text)).toBe(text)
    },
  )

  it.each([
    ['nothing', ''],
    ['a list of all agents', '/'],
    ['another query', 'a?agents=b'],
    ['a fragment', 'a#b'],
    ['an escape', 'a%2fb'],
    ['a parent folder', '..'],
    ['a hidden name', '.a'],
    ['an option', '-a'],
    ['a letter outside ASCII', 'ä'],
    ['a digit outside ASCII', '١'],
    ['a line break at the end', 'a\n'],
    ['a NUL', 'a\0'],
    ['81 characters', 'x'.repeat(81)],
  ])('refuses %s', (_title, text) => {
    expect(outcomeOf(() => parseAgentId(text))).toMatch(
      /^KEYLIME_BAD_MESSAGE: agent id ".*" is not usable: expected 1 to 80/,
    )
  })

  it('shows no more than 80 characters of what it refuses, on one line', () => {
    const outcome = outcomeOf(() => parseAgentId(`\n${'x'.repeat(70_000)}`))
    expect(outcome.length).toBeLessThan(300)
    expect(outcome).not.toContain('\n')
  })

  it('takes exactly one character set, for every code below U+0300', () => {
    const taken = Array.from({ length: 0x300 }, (_none, code) => String.fromCharCode(code)).filter((c) =>
      isAgentId(`a${c}`),
    )
    expect(taken.join('')).toBe('-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz')
  })

  it('makes nothing that changes inside a URL path', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/), (text) => {
        expect(isAgentId(text)).toBe(true)
        expect(new URL(`https://h/v2.6/agents/${text}`).pathname).toBe(`/v2.6/agents/${text}`)
      }),
      { numRuns: 300 },
    )
  })
})

describe('ekUuid', () => {
  it('gives the ID the recorded agent took from its EK [T15]', () => {
    expect(ekUuid(parseTpm2bPublic(RECORDED_RECORD.ekTpm).pem)).toBe(RECORDED_RECORD.agentId)
  })
})

describe('DEFAULT_AGENT_UUID', () => {
  it('is the ID that unconfigured agents share', () => {
    expect(DEFAULT_AGENT_UUID).toBe('d432fbb3-d2f1-4a97-9ef7-75bd81c00000')
  })
})
