import { describe, expect, it } from 'vitest'
import { newHclogLogger } from '../../../../plugins/go-plugin/log/hclog.ts'
import { RpcError, STATUS_CODES, statusName } from '../../../../plugins/spire-sdk/wire/rpc-error.ts'
import { toWireStatus } from '../../../../plugins/spire-sdk/wire/wire-status.ts'
import { requireName } from '../../../../plugins/spire-sdk/wire/wire-text.ts'

function failed(
  error: unknown,
  extra: { signal?: AbortSignal; mapError?: (error: unknown) => RpcError | undefined } = {},
) {
  const lines: string[] = []
  const log = newHclogLogger((line) => lines.push(line))
  return { status: toWireStatus(error, { method: 'Attest', log, ...extra }), lines }
}

const mapError = (error: unknown) =>
  error instanceof RangeError ? new RpcError('UNAVAILABLE', 'keylime did not answer', { cause: error }) : undefined

describe('toWireStatus', () => {
  it('tells the host the status and message of an RpcError, and logs nothing', () => {
    expect(failed(new RpcError('FAILED_PRECONDITION', 'not configured'))).toEqual({
      status: { code: 9, details: 'not configured' },
      lines: [],
    })
  })

  it('keeps the cause of an RpcError for the log', () => {
    const { status, lines } = failed(
      new RpcError('UNAVAILABLE', 'keylime is down', { cause: new Error('ECONNREFUSED') }),
    )
    expect(status).toEqual({ code: 14, details: 'keylime is down' })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('"@level":"debug"')
    expect(lines[0]).toContain('ECONNREFUSED')
  })

  it.each([new TypeError('secret detail'), 'secret detail', { message: 'secret detail' }])(
    'hides what it does not know from the host and shows it in the log (%#)',
    (error) => {
      const { status, lines } = failed(error)
      expect(status).toEqual({ code: 13, details: 'internal error' })
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain('"@level":"error"')
      expect(lines[0]).toContain('"method":"Attest"')
      expect(lines[0]).toContain('secret detail')
    },
  )

  it('lets the plugin translate its own errors', () => {
    expect(failed(new RangeError('x'), { mapError }).status).toEqual({ code: 14, details: 'keylime did not answer' })
    expect(failed(new TypeError('x'), { mapError }).status).toEqual({ code: 13, details: 'internal error' })
  })

  it('survives a translation that fails', () => {
    const { status, lines } = failed(new Error('first'), {
      mapError: () => {
        throw new Error('second')
      },
    })
    expect(status).toEqual({ code: 13, details: 'internal error' })
    expect(lines.join()).toContain('second')
    expect(lines.join()).toContain('first')
  })

  it('does not log a call the host gave up', () => {
    expect(failed(new Error('aborted'), { signal: AbortSignal.abort() })).toEqual({
      status: { code: 1, details: 'call cancelled' },
      lines: [],
    })
  })
})

describe('statusName', () => {
  it('names each number gRPC has, and no other', () => {
    for (const [name, code] of Object.entries(STATUS_CODES)) expect(statusName(code)).toBe(name)
    expect(statusName(0)).toBe('UNKNOWN')
    expect(statusName(99)).toBe('UNKNOWN')
  })
})

describe('requireName', () => {
  it('lets a name through', () => {
    expect(requireName('x509-CA-A', 'key_id')).toBe('x509-CA-A')
  })

  it.each([
    ['', 'key_id is required'],
    ['a\uFFFD', 'key_id is not valid UTF-8'],
  ])('refuses %j', (text, message) => {
    expect(() => requireName(text, 'key_id')).toThrow(new RpcError('INVALID_ARGUMENT', message))
  })
})
