import { describe, expect, it } from 'vitest'
import { KeylimeError, type KeylimeErrorCode } from '../../../plugins/keylime/errors.ts'
import { Refusal, refusal } from '../../../server-attestor/refusal.ts'
import { codeOf, KEYLIME_CODES, toRpcError } from '../../../server-attestor/status.ts'

describe('toRpcError', () => {
  const table: Readonly<Record<KeylimeErrorCode, string>> = {
    KEYLIME_UNREACHABLE: 'UNAVAILABLE',
    KEYLIME_TIMEOUT: 'UNAVAILABLE',
    KEYLIME_UNAVAILABLE: 'UNAVAILABLE',
    KEYLIME_CLIENT_REFUSED: 'INTERNAL',
    KEYLIME_PEER_UNTRUSTED: 'INTERNAL',
    KEYLIME_AGENT_UNKNOWN: 'FAILED_PRECONDITION',
    KEYLIME_API_UNSUPPORTED: 'FAILED_PRECONDITION',
    KEYLIME_BAD_RESPONSE: 'INTERNAL',
    KEYLIME_BAD_MESSAGE: 'INVALID_ARGUMENT',
    KEYLIME_QUOTE_REJECTED: 'PERMISSION_DENIED',
    KEYLIME_CANCELLED: 'CANCELLED',
  }
  it.each(Object.entries(table) as [KeylimeErrorCode, string][])('tells %s as %s', (code, status) => {
    const told = toRpcError(new KeylimeError(code, 'keylime verifier did something'))
    expect(told?.status).toBe(status)
    expect(told?.message).toBe(`keylime verifier did something [${KEYLIME_CODES[code]}]`)
  })

  it('names the node, every reason and its code in one line', () => {
    const error = new Refusal(
      [
        { code: 'KL-GATE-STOPPED', message: 'an operator stopped\nits attestation' },
        { code: 'KL-GATE-NEVER', message: 'no time' },
      ],
      { facts: { agent_id: 'node-1' } },
    )
    expect(toRpcError(error)).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: 'keylime agent node-1: an operator stopped its attestation [KL-GATE-STOPPED]; no time [KL-GATE-NEVER]',
    })
  })

  it('bounds what the caller reads', () => {
    const error = refusal('KL-EK-UNTRUSTED', { reason: 'x'.repeat(5_000) })
    expect(toRpcError(error)?.message.length).toBeLessThanOrEqual(1_000)
  })

  it('leaves an unknown error to the SDK, which hides its text', () => {
    expect(toRpcError(new TypeError('secret detail'))).toBeUndefined()
    expect(codeOf(new TypeError('secret detail'))).toBe('KL-INTERNAL')
  })
})
