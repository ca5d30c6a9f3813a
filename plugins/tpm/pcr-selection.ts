/**
 * TPML_PCR_SELECTION of one bank, as commands carry it.
 *
 * @module
 */
import { hashId } from './algorithms.ts'
import type { PcrSelection } from './attest.ts'
import { u8, u16, u32 } from './encode.ts'

/** PCRs a TPM of a PC or a server has. */
export const PCR_COUNT = 24

/**
 * Writes the bitmap of a selection: bit i of byte j stands for PCR 8j + i.
 *
 * @param pcrs Numbers below 24.
 * @returns Three bytes.
 */
export function pcrBitmap(pcrs: readonly number[]): Buffer {
  const bitmap = Buffer.alloc(PCR_COUNT / 8)
  for (const pcr of pcrs) bitmap.writeUInt8(bitmap.readUInt8(pcr >> 3) | (1 << (pcr & 7)), pcr >> 3)
  return bitmap
}

/** Encodes a selection. @param selection One bank's PCRs, below 24. @returns TPML_PCR_SELECTION. */
export function encodeSelection({ hashAlg, pcrs }: PcrSelection): Buffer {
  const bitmap = pcrBitmap(pcrs)
  return Buffer.concat([u32(1), u16(hashId(hashAlg)), u8(bitmap.length), bitmap])
}
