/**
 * The PCR values beside a quote, in the form tpm2-tools writes memory to a file: little-endian and padded, lists of at
 * most eight values.
 *
 * @see tpm2-tools 5.4, tools/tpm2_quote.c (`serialized` PCR format); rust-keylime 3a4d5654, keylime/src/tpm.rs
 * @module
 */
import { digest, digestBytes, type HashAlg, hashId, requireHash } from './algorithms.ts'
import { type PcrSelection, pcrsIn } from './attest.ts'
import { ByteReader } from './byte-reader.ts'
import { pcrBitmap } from './pcr-selection.ts'

/** PCR values of one bank, in the order of the selection. */
export interface PcrBlob {
  readonly selection: PcrSelection
  readonly values: readonly Buffer[]
}

/** Size of a blob with one digest list, so with at most eight PCR values. */
export const PCR_BLOB_BYTES = 668

const SELECTIONS = 16
const SELECT_BYTES = 4
const DIGESTS = 8
const DIGEST_FIELD_BYTES = 64
const SELECTION_BYTES = 4 + SELECTIONS * 8
const LIST_BYTES = 4 + DIGESTS * (2 + DIGEST_FIELD_BYTES)

/**
 * Parses a PCR blob of one bank: as many digest lists as its PCRs fill, every one but the last full.
 *
 * Bytes that carry nothing must be zero, as both writers leave them, so that a changed bit is always noticed.
 *
 * @param bytes 668 bytes for up to eight PCRs, 532 more for each further eight.
 * @returns The selection and one value for each PCR of it.
 * @throws {TpmError} `TPM_TRUNCATED`, `TPM_TRAILING`: another size. `TPM_MALFORMED`: several banks, counts that
 *   disagree, values of another size than the bank's. `TPM_UNSUPPORTED`: an unknown bank.
 */
export function parsePcrBlob(bytes: Uint8Array): PcrBlob {
  const reader = new ByteReader(bytes, 'pcr blob')
  requireCount(reader, 'selection count', 1)
  const selection = readSelection(reader)
  reader.zeros((SELECTIONS - 1) * 8, 'unused selections')
  const lists = listsOf(selection.pcrs.length)
  requireCount(reader, 'digest lists', lists)
  const values: Buffer[] = []
  for (let list = 0; list < lists; list++) {
    values.push(...readList(reader, selection.hashAlg, Math.min(DIGESTS, selection.pcrs.length - values.length)))
  }
  reader.end()
  return { selection, values }
}

/**
 * Writes a PCR blob.
 *
 * @param hashAlg The bank.
 * @param values Values of the bank's size by PCR number, below 24.
 * @returns What {@link parsePcrBlob} reads.
 */
export function encodePcrBlob(hashAlg: HashAlg, values: ReadonlyMap<number, Uint8Array>): Buffer {
  const pcrs = [...values.keys()].toSorted((one, other) => one - other)
  const ordered = pcrs.map((pcr) => values.get(pcr) ?? Buffer.alloc(0))
  const selection = Buffer.alloc(SELECTION_BYTES)
  const bitmap = pcrBitmap(pcrs)
  selection.writeUInt32LE(1, 0)
  selection.writeUInt16LE(hashId(hashAlg), 4)
  selection.writeUInt8(bitmap.length, 6)
  bitmap.copy(selection, 7)
  const count = Buffer.alloc(4)
  const lists = listsOf(pcrs.length)
  count.writeUInt32LE(lists)
  const written = Array.from({ length: lists }, (_, list) =>
    encodeList(ordered.slice(list * DIGESTS).slice(0, DIGESTS)),
  )
  return Buffer.concat([selection, count, ...written])
}

function encodeList(values: readonly Uint8Array[]): Buffer {
  const list = Buffer.alloc(LIST_BYTES)
  list.writeUInt32LE(values.length)
  for (const [index, value] of values.entries()) {
    const at = 4 + index * (2 + DIGEST_FIELD_BYTES)
    list.writeUInt16LE(value.length, at)
    list.set(value, at + 2)
  }
  return list
}

/**
 * Computes the pcrDigest a quote must carry for a blob's values.
 *
 * @param hashAlg The hash of the quote's signature.
 * @param blob A parsed blob.
 * @returns The digest.
 * @throws {TpmError} `TPM_UNSUPPORTED`: this OpenSSL lacks the hash.
 */
export function pcrDigestOf(hashAlg: HashAlg, blob: PcrBlob): Buffer {
  return digest(hashAlg, ...blob.values)
}

/**
 * Computes a PCR's value after one extend from reset.
 *
 * @param hashAlg The PCR's bank.
 * @param event The digest extended, of the bank's size.
 * @returns The PCR value.
 * @throws {TpmError} `TPM_UNSUPPORTED`: this OpenSSL lacks the hash.
 */
export function extendFromReset(hashAlg: HashAlg, event: Uint8Array): Buffer {
  return digest(hashAlg, Buffer.alloc(digestBytes(hashAlg)), event)
}

// Even without a PCR there is one list.
function listsOf(pcrs: number): number {
  return Math.max(1, Math.ceil(pcrs / DIGESTS))
}

function requireCount(reader: ByteReader, field: string, expected: number): void {
  const count = reader.u32le(field)
  if (count !== expected) throw reader.malformed(field, `${expected}`, `${count}`)
}

function readSelection(reader: ByteReader): PcrSelection {
  const hashAlg = requireHash(reader, reader.u16le('selection hash'), 'selection hash')
  const size = reader.u8('selection size')
  if (size === 0 || size > SELECT_BYTES) throw reader.malformed('selection size', '1 to 4 bytes', `${size}`)
  const bitmap = reader.take(size, 'selection bitmap')
  reader.zeros(SELECT_BYTES - size + 1, 'selection padding')
  return { hashAlg, pcrs: pcrsIn(bitmap) }
}

function readList(reader: ByteReader, hashAlg: HashAlg, expected: number): readonly Buffer[] {
  const count = reader.u32le('digest count')
  if (count !== expected) throw reader.malformed('digest count', `${expected}, as selected`, `${count}`)
  const size = digestBytes(hashAlg)
  const values: Buffer[] = []
  for (let index = 0; index < count; index++) {
    const found = reader.u16le('digest size')
    if (found !== size) throw reader.malformed('digest size', `${size}`, `${found}`)
    values.push(reader.take(size, 'digest'))
    reader.zeros(DIGEST_FIELD_BYTES - size, 'digest padding')
  }
  reader.zeros((DIGESTS - count) * (2 + DIGEST_FIELD_BYTES), 'unused digests')
  return values
}
