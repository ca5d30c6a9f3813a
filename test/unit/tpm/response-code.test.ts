import { describe, expect, it } from 'vitest'
import { flushContext } from '../../../plugins/tpm/commands/keys.ts'
import { responseCodeOf } from '../../../plugins/tpm/commands/response.ts'
import { responseCodeName, TpmResponseError } from '../../../plugins/tpm/commands/response-code.ts'
import { outcomeOf } from './outcome.ts'

const answer = (tag: number, code: number): Buffer => {
  const bytes = Buffer.alloc(10)
  bytes.writeUInt16BE(tag)
  bytes.writeUInt32BE(10, 2)
  bytes.writeUInt32BE(code, 6)
  return bytes
}

describe('responseCodeName', () => {
  it.each([
    [0x084, 'VALUE', 'of no operand'],
    [0x1c4, 'VALUE', 'of parameter 1'],
    [0x18b, 'HANDLE', 'of handle 1'],
    [0x28b, 'HANDLE', 'of handle 2'],
    [0x98e, 'AUTH_FAIL', 'of session 1'],
    [0xa8e, 'AUTH_FAIL', 'of session 2'],
    [0x9a2, 'BAD_AUTH', 'of session 1'],
    [0x1df, 'INTEGRITY', 'of parameter 1'],
    [0x902, 'OBJECT_MEMORY', ''],
    [0x903, 'SESSION_MEMORY', ''],
    [0x908, 'YIELDED', ''],
    [0x90a, 'TESTING', ''],
    [0x910, 'REFERENCE', 'H0'],
    [0x91e, 'REFERENCE', 'S6'],
    [0x921, 'LOCKOUT', ''],
    [0x922, 'RETRY', ''],
    [0x143, 'UNKNOWN_COMMAND', 'of the TPM'],
    [0x000b0143, 'UNKNOWN_COMMAND', 'of the resource manager'],
  ])('names 0x%s as %s %s', (code, name) => {
    expect(responseCodeName(code)).toBe(name)
  })

  it('leaves others unnamed', () => {
    expect(responseCodeName(0x101)).toBeUndefined()
    expect(responseCodeName(0x923)).toBeUndefined()
  })
})

describe('a refused command', () => {
  it('names command and code', () => {
    expect(() => flushContext(1).parse(answer(0x8001, 0x1c4))).toThrow(new TpmResponseError('FlushContext', 0x1c4))
    expect(new TpmResponseError('Load', 0x1df).message).toBe('tpm command Load failed with TPM_RC_INTEGRITY (0x1df)')
    expect(new TpmResponseError('Load', 0x9).message).toBe('tpm command Load failed with 0x009')
  })

  it('may come in the manner of TPM 1.2, and in no other tag', () => {
    expect(() => flushContext(1).parse(answer(0x00c4, 0x1e))).toThrow(TpmResponseError)
    expect(outcomeOf(() => flushContext(1).parse(answer(0x8002, 0x1e)))).toBe(
      'TPM_MALFORMED: response to FlushContext tag: expected 0x8001, found 0x8002',
    )
  })

  it('is told from success before it is opened', () => {
    expect(responseCodeOf(answer(0x8001, 0x922))).toBe(0x922)
    expect(outcomeOf(() => responseCodeOf(Buffer.alloc(9)))).toMatch(/^TPM_TRUNCATED/)
  })

  it('is refused beyond the size any TPM answers with', () => {
    const bytes = Buffer.concat([answer(0x8001, 0), Buffer.alloc(4096)])
    bytes.writeUInt32BE(bytes.length, 2)
    expect(outcomeOf(() => flushContext(1).parse(bytes))).toBe(
      'TPM_MALFORMED: response to FlushContext size: expected at most 4096 bytes, found 4106',
    )
  })
})
