/**
 * TPMS_ATTEST of a quote: what the TPM signed.
 *
 * @see TCG TPM 2.0 Library, Part 2, 10.12.8 (TPMS_ATTEST) and 10.12.1 (TPMS_QUOTE_INFO)
 * @module
 */
import { type HashAlg, MAX_DIGEST_BYTES, requireHash } from './algorithms.ts'
import { ByteReader } from './byte-reader.ts'

/** PCRs of one bank, in ascending order. */
export interface PcrSelection {
  readonly hashAlg: HashAlg
  readonly pcrs: readonly number[]
}

/** The TPM's clock at the quote; `safe` is false for a while after a power cut, which is no fault of a host. */
export interface QuoteClock {
  readonly clock: bigint
  readonly resetCount: number
  readonly restartCount: number
  readonly safe: boolean
}

/** A parsed quote. */
export interface QuoteAttest {
  /** The signer's Qualified Name. */
  readonly qualifiedSigner: Buffer
  /** The caller's nonce. */
  readonly extraData: Buffer
  readonly clock: QuoteClock
  readonly firmwareVersion: bigint
  readonly selections: readonly PcrSelection[]
  readonly pcrDigest: Buffer
}

// TPM_GENERATED_VALUE: a restricted key signs outside data only when it does not begin with it, so it proves origin.
const GENERATED = 0xff544347
const ATTEST_QUOTE = 0x8018
const MAX_NAME_BYTES = 2 + MAX_DIGEST_BYTES
// TPM2B_DATA holds at most a TPMT_HA: a u16 and the largest digest.
const MAX_EXTRA_DATA_BYTES = 2 + MAX_DIGEST_BYTES
const MAX_SELECTIONS = 16
const MAX_SELECT_BYTES = 4

/**
 * Parses a TPMS_ATTEST that is a quote.
 *
 * @param bytes The structure and nothing after it.
 * @returns Its fields.
 * @throws {TpmError} `TPM_TRUNCATED`, `TPM_TRAILING`: too short or long. `TPM_MALFORMED`: not made by a TPM, or a
 *   forbidden value. `TPM_UNSUPPORTED`: an attestation other than a quote, or an unknown bank.
 */
export function parseAttest(bytes: Uint8Array): QuoteAttest {
  const reader = new ByteReader(bytes, 'TPMS_ATTEST')
  if (reader.u32('magic') !== GENERATED) throw reader.malformed('magic', '0xff544347', 'another number')
  const type = reader.u16('type')
  if (type !== ATTEST_QUOTE) throw reader.unsupported('type', '0x8018 (quote)', type)
  const qualifiedSigner = reader.sized(MAX_NAME_BYTES, 'qualifiedSigner')
  const extraData = reader.sized(MAX_EXTRA_DATA_BYTES, 'extraData')
  const clock = {
    clock: reader.u64('clock'),
    resetCount: reader.u32('resetCount'),
    restartCount: reader.u32('restartCount'),
    safe: readYesNo(reader, 'safe'),
  }
  const firmwareVersion = reader.u64('firmwareVersion')
  const selections = readSelections(reader)
  const pcrDigest = reader.sized(MAX_DIGEST_BYTES, 'pcrDigest')
  reader.end()
  return { qualifiedSigner, extraData, clock, firmwareVersion, selections, pcrDigest }
}

function readYesNo(reader: ByteReader, field: string): boolean {
  const value = reader.u8(field)
  if (value > 1) throw reader.malformed(field, '0 or 1', `${value}`)
  return value === 1
}

/**
 * Reads a TPML_PCR_SELECTION.
 *
 * @param reader Where it begins.
 * @returns One selection for each bank.
 * @throws {TpmError} `TPM_TRUNCATED`, `TPM_MALFORMED`, `TPM_UNSUPPORTED`: an unknown bank.
 */
export function readSelections(reader: ByteReader): readonly PcrSelection[] {
  const count = reader.u32('pcrSelect count')
  if (count > MAX_SELECTIONS) throw reader.malformed('pcrSelect count', `at most ${MAX_SELECTIONS}`, `${count}`)
  const selections: PcrSelection[] = []
  for (let index = 0; index < count; index++) {
    const hashAlg = requireHash(reader, reader.u16('pcrSelect hash'), 'pcrSelect hash')
    const size = reader.u8('pcrSelect size')
    if (size === 0 || size > MAX_SELECT_BYTES) {
      throw reader.malformed('pcrSelect size', `1 to ${MAX_SELECT_BYTES} bytes`, `${size}`)
    }
    selections.push({ hashAlg, pcrs: pcrsIn(reader.take(size, 'pcrSelect bitmap')) })
  }
  return selections
}

/**
 * Lists the PCRs of a selection bitmap: bit i of byte j stands for PCR 8j + i.
 *
 * @param bitmap 1-4 bytes.
 * @returns PCR numbers, ascending.
 */
export function pcrsIn(bitmap: Uint8Array): readonly number[] {
  const pcrs: number[] = []
  for (const [index, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) pcrs.push(index * 8 + bit)
  }
  return pcrs
}

/**
 * Spells selections as tpm2-tools does, to compare and to show: `sha256:16`.
 *
 * @param selections What a quote or a PCR blob selects.
 * @returns Banks joined by `+`, PCRs by `,`; `none` for no bank.
 */
export function describeSelections(selections: readonly PcrSelection[]): string {
  if (selections.length === 0) return 'none'
  return selections.map(({ hashAlg, pcrs }) => `${hashAlg}:${pcrs.join(',')}`).join('+')
}
