import { describe, expect, it } from 'vitest'
import { NodeError } from '../../../agent-attestor/node-error.ts'
import { toRpcError } from '../../../agent-attestor/status.ts'
import { CATALOGUE, type NodeCode } from '../../../plugins/gate/catalogue/catalogue.ts'
import { NODE_ENTRIES } from '../../../plugins/gate/catalogue/node.ts'
import { KEYLIME_CODES } from '../../../plugins/gate/keylime-codes.ts'
import { KeylimeError, type KeylimeErrorCode } from '../../../plugins/keylime/basis/errors.ts'
import { TpmDeviceError } from '../../../plugins/tpm-device/device-error.ts'

describe('toRpcError', () => {
  it('gives every failure its status and its code, and the verdict to nobody', () => {
    const told = Object.keys(KEYLIME_CODES).map((code) => {
      const error = toRpcError(new KeylimeError(code as KeylimeErrorCode, `text of ${code}`))
      return `${code} ${error?.status} ${error?.message}`
    })
    expect(told).toEqual([
      'KEYLIME_UNREACHABLE UNAVAILABLE text of KEYLIME_UNREACHABLE [KL-KEYLIME-UNREACHABLE]',
      'KEYLIME_TIMEOUT UNAVAILABLE text of KEYLIME_TIMEOUT [KL-KEYLIME-TIMEOUT]',
      'KEYLIME_UNAVAILABLE UNAVAILABLE text of KEYLIME_UNAVAILABLE [KL-KEYLIME-UNAVAILABLE]',
      'KEYLIME_CLIENT_REFUSED INTERNAL text of KEYLIME_CLIENT_REFUSED [KL-KEYLIME-REFUSED-US]',
      'KEYLIME_PEER_UNTRUSTED INTERNAL text of KEYLIME_PEER_UNTRUSTED [KL-KEYLIME-UNTRUSTED]',
      'KEYLIME_AGENT_UNKNOWN FAILED_PRECONDITION text of KEYLIME_AGENT_UNKNOWN [KL-AGENT-UNKNOWN]',
      'KEYLIME_CONFLICT INTERNAL text of KEYLIME_CONFLICT [KL-KEYLIME-BAD-ANSWER]',
      'KEYLIME_API_UNSUPPORTED FAILED_PRECONDITION text of KEYLIME_API_UNSUPPORTED [KL-API-UNSUPPORTED]',
      'KEYLIME_BAD_RESPONSE INTERNAL text of KEYLIME_BAD_RESPONSE [KL-KEYLIME-BAD-ANSWER]',
      'KEYLIME_BAD_MESSAGE INVALID_ARGUMENT text of KEYLIME_BAD_MESSAGE [KL-MESSAGE-MALFORMED]',
      'KEYLIME_QUOTE_REJECTED INTERNAL text of KEYLIME_QUOTE_REJECTED [KL-QUOTE-REJECTED]',
      'KEYLIME_CANCELLED CANCELLED text of KEYLIME_CANCELLED [KL-CANCELLED]',
    ])
    expect(told.join()).not.toContain('PERMISSION_DENIED')
  })

  it.each(Object.keys(NODE_ENTRIES) as NodeCode[])('tells %s with the status of the catalogue', (code) => {
    const { status } = CATALOGUE[code]
    expect(toRpcError(new NodeError(code, 'what failed'))).toMatchObject({ status, message: `what failed [${code}]` })
    expect(status).not.toBe('PERMISSION_DENIED')
  })

  it('tells what the TPM does under a code of its own', () => {
    expect(toRpcError(new TpmDeviceError('TPM_MISSING', 'tpm /dev/tpmrm0 is missing'))).toMatchObject({
      status: 'UNAVAILABLE',
      message: 'tpm /dev/tpmrm0 is missing [KL-TPM-UNAVAILABLE]',
    })
    expect(toRpcError(new TpmDeviceError('TPM_BANK_INACTIVE', 'no bank'))).toMatchObject({
      status: 'FAILED_PRECONDITION',
      message: 'no bank [KL-TPM-REFUSES]',
    })
  })

  it('leaves what it does not know to the boundary, which says "internal error"', () => {
    expect([toRpcError(new Error('x')), toRpcError(undefined), toRpcError('KEYLIME_TIMEOUT')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })
})
