/**
 * Big-endian integers and sized buffers, as TPM commands carry them.
 *
 * @module
 */

/** Encodes one byte. @param value 0-255. @returns One byte. */
export function u8(value: number): Buffer {
  return Buffer.of(value)
}

/** Encodes a u16. @param value 0-65535. @returns Two bytes. */
export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

/** Encodes a u32. @param value 0-2^32-1. @returns Four bytes. */
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/**
 * Encodes a TPM2B: a u16 length and the parts, joined.
 *
 * @param parts Up to 65535 bytes together.
 * @returns The length and the bytes.
 */
export function tpm2b(...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([u16(content.length), content])
}
