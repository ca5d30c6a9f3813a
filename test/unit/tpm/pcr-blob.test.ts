import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestBytes } from '../../../plugins/tpm/algorithms.ts'
import {
  encodePcrBlob,
  extendFromReset,
  PCR_BLOB_BYTES,
  parsePcrBlob,
  pcrDigestOf,
} from '../../../plugins/tpm/pcr-blob.ts'
import { encodePcrBlob as encodeByTheFakes } from '../../fakes/tpm-bytes.ts'
import { outcomeOf, outcomesOfLengths } from './outcome.ts'
import { RECORDED_PARTS, RECORDED_PUBKEY } from './recorded-node.ts'

const { pcrs } = RECORDED_PARTS
const LIST_BYTES = 532

describe('parsePcrBlob', () => {
  it('reads the recorded blob: PCR 16, extended with the agent public key', () => {
    const blob = parsePcrBlob(pcrs)
    expect(blob.selection).toEqual({ hashAlg: 'sha256', pcrs: [16] })
    const event = createHash('sha256').update(RECORDED_PUBKEY).digest()
    expect(blob.values).toEqual([extendFromReset('sha256', event)])
  })

  it.each([
    ['two banks', 0, 2, /selection count: expected 1, found 2/, 'TPM_MALFORMED'],
    ['no bank', 0, 0, /selection count: expected 1, found 0/, 'TPM_MALFORMED'],
    ['an unknown bank', 4, 0x27, /selection hash/, 'TPM_UNSUPPORTED'],
    ['a bitmap of five bytes', 6, 5, /selection size: expected 1 to 4 bytes, found 5/, 'TPM_MALFORMED'],
    ['bits beyond the bitmap', 10, 1, /selection padding: expected zero bytes/, 'TPM_MALFORMED'],
    ['a hidden second selection', 12, 4, /unused selections: expected zero bytes/, 'TPM_MALFORMED'],
    ['two digest lists', 132, 2, /digest lists: expected 1, found 2/, 'TPM_MALFORMED'],
    ['fewer values than selected', 136, 0, /digest count: expected 1, as selected/, 'TPM_MALFORMED'],
    ['more values than selected', 136, 2, /digest count: expected 1, as selected/, 'TPM_MALFORMED'],
    ['a value of another bank', 140, 20, /digest size: expected 32, found 20/, 'TPM_MALFORMED'],
    ['bytes behind a value', 142 + 32, 1, /digest padding: expected zero bytes/, 'TPM_MALFORMED'],
    ['bytes in a place for a value', 660, 1, /unused digests: expected zero bytes/, 'TPM_MALFORMED'],
  ])('refuses %s', (_title, offset, value, message, code) => {
    const copy = Buffer.from(pcrs)
    copy[offset] = value
    const outcome = outcomeOf(() => parsePcrBlob(copy))
    expect(outcome).toMatch(message)
    expect(outcome.split(':')[0]).toBe(code)
  })

  it('refuses every cut and every added byte with a typed error', () => {
    expect(outcomesOfLengths(pcrs, parsePcrBlob)).toEqual(['TPM_TRAILING', 'TPM_TRUNCATED'])
  })

  it.each([
    ['five PCRs', 'q.p', 5, 1],
    ['nine PCRs', 'q9.p', 9, 2],
    ['fourteen PCRs', 'q14.p', 14, 2],
    ['all 24 PCRs', 'q24.p', 24, 3],
  ])('reads %s as tpm2-tools writes them, and writes the same bytes', (_title, file, count, lists) => {
    const bytes = readFileSync(new URL(`../../fixtures/tpm/${file}`, import.meta.url))
    expect(bytes).toHaveLength(PCR_BLOB_BYTES + (lists - 1) * LIST_BYTES)
    const { selection, values } = parsePcrBlob(bytes)
    expect(values).toHaveLength(count)
    const byNumber = new Map(selection.pcrs.map((pcr, index) => [pcr, values[index] ?? Buffer.alloc(0)]))
    expect(encodePcrBlob('sha256', byNumber)).toEqual(bytes)
  })

  it('reads back every blob that can be written', () => {
    const given = fc
      .record({
        bank: fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512' as const),
        pcrs: fc.uniqueArray(fc.nat(23), { maxLength: 24 }),
        fill: fc.nat(255),
      })
      .map(({ bank, pcrs: numbers, fill }) => ({
        bank,
        values: new Map(numbers.map((pcr) => [pcr, Buffer.alloc(digestBytes(bank), fill ^ pcr)])),
      }))
    fc.assert(
      fc.property(given, ({ bank, values }) => {
        const bytes = encodePcrBlob(bank, values)
        const ordered = [...values.keys()].toSorted((a, b) => a - b)
        expect(bytes).toHaveLength(PCR_BLOB_BYTES + Math.max(0, Math.ceil(values.size / 8) - 1) * LIST_BYTES)
        const inOrder = new Map(ordered.map((pcr) => [pcr, values.get(pcr) ?? bytes]))
        expect(values.size > 8 || encodeByTheFakes(bank, inOrder).equals(bytes)).toBe(true)
        const blob = parsePcrBlob(bytes)
        expect(blob.selection).toEqual({ hashAlg: bank, pcrs: ordered })
        expect(blob.values).toEqual(ordered.map((pcr) => values.get(pcr)))
        expect(pcrDigestOf('sha256', blob)).toEqual(createHash('sha256').update(Buffer.concat(blob.values)).digest())
      }),
    )
  })

  it('refuses every cut and every added byte of several lists', () => {
    const bytes = readFileSync(new URL('../../fixtures/tpm/q9.p', import.meta.url))
    expect(outcomesOfLengths(bytes, parsePcrBlob)).toEqual(['TPM_TRAILING', 'TPM_TRUNCATED'])
  })

  it.each([
    ['one list for nine PCRs', 132, 1, /digest lists: expected 2, found 1/],
    ['three lists for nine PCRs', 132, 3, /digest lists: expected 2, found 3/],
    ['a first list that is not full', 136, 7, /digest count: expected 8, as selected, found 7/],
    ['a second list with two values', 136 + LIST_BYTES, 2, /digest count: expected 1, as selected, found 2/],
  ])('refuses %s', (_title, offset, value, message) => {
    const copy = readFileSync(new URL('../../fixtures/tpm/q9.p', import.meta.url))
    copy[offset] = value
    expect(outcomeOf(() => parsePcrBlob(copy))).toMatch(message)
  })

  it('never throws anything but a typed error, whatever the bytes', () => {
    const mutated = fc
      .array(fc.tuple(fc.nat(pcrs.length - 1), fc.nat(255)), { maxLength: 4 })
      .map((changes) =>
        changes.reduce((bytes, [offset, value]) => bytes.fill(value, offset, offset + 1), Buffer.from(pcrs)),
      )
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 700 })), (bytes) => {
        expect(outcomeOf(() => parsePcrBlob(bytes))).toMatch(/^(?:accepted$|TPM_)/)
      }),
      { numRuns: 2000 },
    )
  })
})
