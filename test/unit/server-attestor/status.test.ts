import { describe, expect, it } from 'vitest'
import { AttestError, attestError } from '../../../plugins/gate/decision.ts'
import { KEYLIME_CODES } from '../../../plugins/gate/keylime-codes.ts'
import { KeylimeError, type KeylimeErrorCode } from '../../../plugins/keylime/basis/errors.ts'
import { newFailure } from '../../../plugins/keylime/basis/failures.ts'
import { parseAgentId } from '../../../plugins/keylime/basis/ids.ts'
import { codeOf, forUnproven, toRpcError } from '../../../server-attestor/status.ts'

describe('toRpcError', () => {
  const table: Readonly<Record<KeylimeErrorCode, string>> = {
    KEYLIME_UNREACHABLE: 'UNAVAILABLE',
    KEYLIME_TIMEOUT: 'UNAVAILABLE',
    KEYLIME_UNAVAILABLE: 'UNAVAILABLE',
    KEYLIME_CLIENT_REFUSED: 'INTERNAL',
    KEYLIME_PEER_UNTRUSTED: 'INTERNAL',
    KEYLIME_AGENT_UNKNOWN: 'FAILED_PRECONDITION',
    KEYLIME_CONFLICT: 'INTERNAL',
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
    const error = new AttestError(
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
    const error = attestError('KL-EK-UNTRUSTED', { reason: 'x'.repeat(5_000) })
    expect(toRpcError(error)?.message.length).toBeLessThanOrEqual(1_000)
  })

  it('leaves an unknown error to the SDK, which hides its text', () => {
    expect(toRpcError(new TypeError('secret detail'))).toBeUndefined()
    expect(codeOf(new TypeError('secret detail'))).toBe('KL-INTERNAL')
  })
})

describe('forUnproven', () => {
  it('keeps kind and code of a failure, and takes every host and certificate out', () => {
    const failed = newFailure('client-forbidden', 'keylime registrar 10.1.2.3:8891 refuses us; sent was CN=spire', {
      facts: { http_status: 403 },
    })
    expect(forUnproven(failed, parseAgentId('node-1'))).toMatchObject({
      code: 'KEYLIME_CLIENT_REFUSED',
      message:
        "keylime registrar, asked for agent node-1: the service answers 403: it does not know us as an administrator (HTTP 403); the SPIRE server's log says more",
    })
  })

  it('says that the log names the registered host, and does not name it', () => {
    const rejected = new KeylimeError('KEYLIME_QUOTE_REJECTED', 'identity quote rejected: x; at 10.0.0.9', {
      facts: { reason: 'x', registered_at: '10.0.0.9:9002' },
    })
    expect(forUnproven(rejected)).toMatchObject({
      code: 'KEYLIME_QUOTE_REJECTED',
      message:
        "identity quote rejected: x; the SPIRE server's log names the host that is registered under this agent id",
    })
  })

  it('tells a failure without a known reason in the words of the catalogue', () => {
    const unusable = new KeylimeError('KEYLIME_BAD_RESPONSE', 'record of agent x is unusable: AK is on P-521')
    expect(forUnproven(unusable)).toMatchObject({
      message: "keylime registrar: an answer of keylime breaks its contract; the SPIRE server's log says more",
    })
  })
})
