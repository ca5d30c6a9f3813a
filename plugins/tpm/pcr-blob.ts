/**
 * The PCR values beside a quote, in the form tpm2-tools writes memory to a file: little-endian, padded, 668 bytes.
 *
 * @see tpm2-tools 5.4, tools/tpm2_quote.c (`serialized` PCR format); rust-keylime 3a4d5654, keylime/src/tpm.rs
 * @module
 */
import { digest, digestBytes, type HashAlg, requireHash } from './algorithms.ts'
import { type PcrSelection, pcrsIn } from './attest.ts'
import { ByteReader } from './byte-reader.ts'

/** Holds the PCR values of a blob, in the order of its selection. */
export interface PcrBlob {
  readonly selection: PcrSelection
  readonly values: readonly Buffer[]
}

/** Is the size of a blob with one digest list, so at most eight PCR values. */
export const PCR_BLOB_BYTES = 668

const SELECTIONS = 16
const SELECT_BYTES = 4
const DIGESTS = 8
const DIGEST_FIELD_BYTES = 64

/**
 * Parses a PCR blob of one bank and one digest list.
 *
 * Bytes that carry nothing must be zero, as both writers leave them, so that a changed bit is always noticed.
 *
 * @param bytes 668 bytes.
 * @returns The selection and one value for each PCR of it.
 * @throws {TpmError} `TPM_TRUNCATED`, `TPM_TRAILING`: another size. `TPM_MALFORMED`: several banks, counts that
 *   disagree, values of another size than the bank's. `TPM_UNSUPPORTED`: an unknown bank.
 */
export function parsePcrBlob(bytes: Uint8Array): PcrBlob {
  const reader = new ByteReader(bytes, 'pcr blob')
  requireOne(reader, 'selection count')
  const selection = readSelection(reader)
  reader.zeros((SELECTIONS - 1) * 8, 'unused selections')
  requireOne(reader, 'digest lists')
  const values = readValues(reader, selection)
  reader.end()
  return { selection, values }
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

function requireOne(reader: ByteReader, field: string): void {
  const count = reader.u32le(field)
  if (count !== 1) throw reader.malformed(field, '1', `${count}`)
}

function readSelection(reader: ByteReader): PcrSelection {
  const hashAlg = requireHash(reader, reader.u16le('selection hash'), 'selection hash')
  const size = reader.u8('selection size')
  if (size === 0 || size > SELECT_BYTES) throw reader.malformed('selection size', '1 to 4 bytes', `${size}`)
  const bitmap = reader.take(size, 'selection bitmap')
  reader.zeros(SELECT_BYTES - size + 1, 'selection padding')
  return { hashAlg, pcrs: pcrsIn(bitmap) }
}

function readValues(reader: ByteReader, { hashAlg, pcrs }: PcrSelection): readonly Buffer[] {
  const count = reader.u32le('digest count')
  if (count !== pcrs.length || count > DIGESTS) {
    throw reader.malformed('digest count', `${pcrs.length}, as selected, at most ${DIGESTS}`, `${count}`)
  }
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
