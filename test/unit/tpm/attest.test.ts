import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeSelections, parseAttest } from '../../../plugins/tpm/attest.ts'
import { encodeAttest } from '../../fakes/tpm-bytes.ts'
import { outcomeOf, outcomesOfLengths } from './outcome.ts'
import { RECORDED_NONCE, RECORDED_PARTS } from './recorded-node.ts'

const { attest } = RECORDED_PARTS

function changed(offset: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(attest)
  copy.set(bytes, offset)
  return copy
}

describe('parseAttest', () => {
  it('reads the recorded quote: nonce, clock, PCR 16 of the SHA-256 bank', () => {
    const quote = parseAttest(attest)
    expect(quote.extraData.toString()).toBe(RECORDED_NONCE)
    expect(quote.clock).toEqual({ clock: 80_118n, resetCount: 2, restartCount: 0, safe: true })
    expect(quote.selections).toEqual([{ hashAlg: 'sha256', pcrs: [16] }])
    expect(quote.pcrDigest).toHaveLength(32)
    expect(quote.firmwareVersion).toBe(0x2019_1023_0016_3636n)
  })

  it.each([
    ['what no TPM made', 0, [0], 'TPM_MALFORMED', /magic: expected 0xff544347/],
    [
      'a certification instead of a quote',
      4,
      [0x80, 0x17],
      'TPM_UNSUPPORTED',
      /type: expected 0x8018 \(quote\), found 0x8017/,
    ],
    [
      'a signer name longer than any',
      6,
      [0, 67],
      'TPM_MALFORMED',
      /qualifiedSigner: expected at most 66 bytes, found 67/,
    ],
    ['a nonce longer than any', 42, [0, 67], 'TPM_MALFORMED', /extraData: expected at most 66 bytes, found 67/],
    ['a safe flag that is neither yes nor no', 92, [2], 'TPM_MALFORMED', /safe: expected 0 or 1, found 2/],
    ['17 selections', 101, [0, 0, 0, 17], 'TPM_MALFORMED', /pcrSelect count: expected at most 16, found 17/],
    ['an unknown bank', 105, [0, 0x27], 'TPM_UNSUPPORTED', /pcrSelect hash/],
    ['an empty bitmap', 107, [0], 'TPM_MALFORMED', /pcrSelect size: expected 1 to 4 bytes, found 0/],
    ['a digest longer than any', 111, [0, 65], 'TPM_MALFORMED', /pcrDigest: expected at most 64 bytes, found 65/],
  ])('refuses %s', (_title, offset, bytes, code, message) => {
    const outcome = outcomeOf(() => parseAttest(changed(offset, bytes)))
    expect(outcome).toMatch(message)
    expect(outcome.split(':')[0]).toBe(code)
  })

  it('refuses every cut and every added byte with a typed error', () => {
    expect(outcomesOfLengths(attest, parseAttest)).toEqual(['TPM_TRAILING', 'TPM_TRUNCATED'])
  })

  it('reads back every quote that can be written', () => {
    const fields = fc.record({
      magic: fc.constant(0xff54_4347),
      type: fc.constant(0x8018),
      qualifiedSigner: fc.uint8Array({ maxLength: 66 }),
      extraData: fc.uint8Array({ maxLength: 66 }),
      clock: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      resetCount: fc.nat(0xffff_ffff),
      restartCount: fc.nat(0xffff_ffff),
      safe: fc.boolean(),
      bank: fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512' as const),
      pcrs: fc.uniqueArray(fc.nat(23)).map((pcrs) => pcrs.toSorted((a, b) => a - b)),
      pcrDigest: fc.uint8Array({ maxLength: 64 }),
    })
    fc.assert(
      fc.property(fields, (given) => {
        const quote = parseAttest(encodeAttest(given))
        expect(new Uint8Array(quote.qualifiedSigner)).toEqual(new Uint8Array(given.qualifiedSigner))
        expect(new Uint8Array(quote.extraData)).toEqual(new Uint8Array(given.extraData))
        expect(quote.clock).toEqual({
          clock: given.clock,
          resetCount: given.resetCount,
          restartCount: given.restartCount,
          safe: given.safe,
        })
        expect(quote.selections).toEqual([{ hashAlg: given.bank, pcrs: given.pcrs }])
        expect(new Uint8Array(quote.pcrDigest)).toEqual(new Uint8Array(given.pcrDigest))
      }),
    )
  })

  it('never throws anything but a typed error, whatever the bytes', () => {
    const mutated = fc
      .array(fc.tuple(fc.nat(attest.length - 1), fc.nat(255)), { maxLength: 5 })
      .map((changes) =>
        changes.reduce((bytes, [offset, value]) => bytes.fill(value, offset, offset + 1), Buffer.from(attest)),
      )
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        expect(outcomeOf(() => parseAttest(bytes))).toMatch(/^(?:accepted$|TPM_)/)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('describeSelections', () => {
  it('spells banks and PCRs as tpm2-tools does', () => {
    expect(describeSelections([])).toBe('none')
    expect(
      describeSelections([
        { hashAlg: 'sha1', pcrs: [0, 7] },
        { hashAlg: 'sha256', pcrs: [16] },
      ]),
    ).toBe('sha1:0,7+sha256:16')
  })
})
