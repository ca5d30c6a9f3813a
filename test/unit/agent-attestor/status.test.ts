import { describe, expect, it } from 'vitest'
import { STATUS_OF, toRpcError } from '../../../agent-attestor/status.ts'
import { KeylimeError, type KeylimeErrorCode } from '../../../plugins/keylime/basis/errors.ts'

describe('toRpcError', () => {
  it('gives every failure its status, and the verdict to nobody', () => {
    const told = Object.keys(STATUS_OF).map((code) => {
      const error = toRpcError(new KeylimeError(code as KeylimeErrorCode, `text of ${code}`))
      return `${code} ${error?.status} ${error?.message}`
    })
    expect(told).toEqual([
      'KEYLIME_UNREACHABLE UNAVAILABLE text of KEYLIME_UNREACHABLE',
      'KEYLIME_TIMEOUT UNAVAILABLE text of KEYLIME_TIMEOUT',
      'KEYLIME_UNAVAILABLE UNAVAILABLE text of KEYLIME_UNAVAILABLE',
      'KEYLIME_CLIENT_REFUSED INTERNAL text of KEYLIME_CLIENT_REFUSED',
      'KEYLIME_PEER_UNTRUSTED INTERNAL text of KEYLIME_PEER_UNTRUSTED',
      'KEYLIME_AGENT_UNKNOWN FAILED_PRECONDITION text of KEYLIME_AGENT_UNKNOWN',
      'KEYLIME_CONFLICT FAILED_PRECONDITION text of KEYLIME_CONFLICT',
      'KEYLIME_API_UNSUPPORTED FAILED_PRECONDITION text of KEYLIME_API_UNSUPPORTED',
      'KEYLIME_BAD_RESPONSE INTERNAL text of KEYLIME_BAD_RESPONSE',
      'KEYLIME_BAD_MESSAGE INVALID_ARGUMENT text of KEYLIME_BAD_MESSAGE',
      'KEYLIME_QUOTE_REJECTED INTERNAL text of KEYLIME_QUOTE_REJECTED',
      'KEYLIME_CANCELLED CANCELLED text of KEYLIME_CANCELLED',
    ])
    expect(told.join()).not.toContain('PERMISSION_DENIED')
  })

  it('leaves what it does not know to the boundary, which says "internal error"', () => {
    expect([toRpcError(new Error('x')), toRpcError(undefined), toRpcError('KEYLIME_TIMEOUT')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})
