import { describe, expect, it } from 'vitest'
import { isKeylimeError, KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'

describe('KeylimeError', () => {
  it('keeps code, cause and facts apart from the message', () => {
    const cause = new Error('ECONNREFUSED')
    const error = new KeylimeError('KEYLIME_UNREACHABLE', 'keylime verifier refused the connection', {
      cause,
      facts: { host: '127.0.0.1', port: 8881 },
    })
    expect(error).toMatchObject({
      name: 'KeylimeError',
      code: 'KEYLIME_UNREACHABLE',
      message: 'keylime verifier refused the connection',
      facts: { host: '127.0.0.1', port: 8881 },
    })
    expect(error.cause).toBe(cause)
  })

  it('has no cause and no facts unless given', () => {
    const error = new KeylimeError('KEYLIME_TIMEOUT', 'x')
    expect('cause' in error).toBe(false)
    expect(error.facts).toEqual({})
  })
})

describe('isKeylimeError', () => {
  it('knows its kind, and one code when asked', () => {
    const error = new KeylimeError('KEYLIME_TIMEOUT', 'x')
    expect([
      isKeylimeError(error),
      isKeylimeError(error, 'KEYLIME_TIMEOUT'),
      isKeylimeError(error, 'KEYLIME_CANCELLED'),
    ]).toEqual([true, true, false])
    expect([isKeylimeError(new Error('x')), isKeylimeError(undefined)]).toEqual([false, false])
  })
})
