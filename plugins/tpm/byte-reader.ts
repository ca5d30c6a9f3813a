/**
 * A cursor over TPM bytes that can neither run past the end nor leave anything behind unnoticed.
 *
 * @module
 */
import { TpmError } from './tpm-error.ts'

// As long as the longest filling of a structure read here.
const ZEROS = Buffer.alloc(1024)

/** A reader of fixed-width integers and sized buffers, in order; each read is bounded and names its field when it fails. */
export class ByteReader {
  readonly #bytes: Buffer
  readonly #structure: string
  #offset = 0

  /**
   * @param bytes The whole structure, of any length; not copied.
   * @param structure Its name, for messages: `TPMS_ATTEST`.
   */
  constructor(bytes: Uint8Array, structure: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#structure = structure
  }

  /** Reads one byte. @param field Its name, for messages. @returns 0-255. @throws {TpmError} `TPM_TRUNCATED`. */
  u8(field: string): number {
    return this.#bytes.readUInt8(this.#advance(1, field))
  }

  /** Reads a big-endian u16. @param field Its name. @returns 0-65535. @throws {TpmError} `TPM_TRUNCATED`. */
  u16(field: string): number {
    return this.#bytes.readUInt16BE(this.#advance(2, field))
  }

  /** Reads a big-endian u32. @param field Its name. @returns 0-2^32-1. @throws {TpmError} `TPM_TRUNCATED`. */
  u32(field: string): number {
    return this.#bytes.readUInt32BE(this.#advance(4, field))
  }

  /** Reads a big-endian u64. @param field Its name. @returns 0-2^64-1. @throws {TpmError} `TPM_TRUNCATED`. */
  u64(field: string): bigint {
    return this.#bytes.readBigUInt64BE(this.#advance(8, field))
  }

  /** Reads a little-endian u16. @param field Its name. @returns 0-65535. @throws {TpmError} `TPM_TRUNCATED`. */
  u16le(field: string): number {
    return this.#bytes.readUInt16LE(this.#advance(2, field))
  }

  /** Reads a little-endian u32. @param field Its name. @returns 0-2^32-1. @throws {TpmError} `TPM_TRUNCATED`. */
  u32le(field: string): number {
    return this.#bytes.readUInt32LE(this.#advance(4, field))
  }

  /** Reads so many bytes. @param length Bytes. @param field Name. @returns A view. @throws {TpmError} `TPM_TRUNCATED`. */
  take(length: number, field: string): Buffer {
    const start = this.#advance(length, field)
    return this.#bytes.subarray(start, start + length)
  }

  /**
   * Reads a TPM2B: a u16 length and so many bytes.
   *
   * @param maxLength Most bytes this field may hold.
   * @param field Its name, for messages.
   * @returns A view of the bytes without the length.
   * @throws {TpmError} `TPM_TRUNCATED`: fewer bytes than announced. `TPM_MALFORMED`: more than the field may hold.
   */
  sized(maxLength: number, field: string): Buffer {
    const length = this.u16(field)
    if (length > maxLength) throw this.malformed(field, `at most ${maxLength} bytes`, `${length}`)
    return this.take(length, field)
  }

  /**
   * Reads all that is left.
   *
   * @param maxLength Most bytes this field may hold.
   * @param field Its name, for messages.
   * @returns A view.
   * @throws {TpmError} `TPM_MALFORMED`: more than the field may hold.
   */
  rest(maxLength: number, field: string): Buffer {
    const length = this.#bytes.length - this.#offset
    if (length > maxLength) throw this.malformed(field, `at most ${maxLength} bytes`, `${length}`)
    return this.take(length, field)
  }

  /** Requires so many zero bytes. @param length Bytes. @param field Name. @throws {TpmError} `TPM_MALFORMED` or cut. */
  zeros(length: number, field: string): void {
    const unused = this.take(length, field)
    // At once where there are enough to compare with: byte by byte in the engine costs as much as a signature.
    const areZeros =
      length <= ZEROS.length ? ZEROS.compare(unused, 0, length, 0, length) === 0 : unused.every((byte) => byte === 0)
    if (!areZeros) throw this.malformed(field, 'zero bytes', 'other bytes')
  }

  /** Requires that everything was read. @throws {TpmError} `TPM_TRAILING`: bytes are left. */
  end(): void {
    const left = this.#bytes.length - this.#offset
    if (left > 0) throw new TpmError('TPM_TRAILING', `${this.#structure} is followed by ${left} bytes`)
  }

  /** Builds the error for a forbidden value. @param field Name. @param expected Words. @param found Words. @returns It. */
  malformed(field: string, expected: string, found: string): TpmError {
    return new TpmError('TPM_MALFORMED', `${this.#structure} ${field}: expected ${expected}, found ${found}`)
  }

  /** Builds the error for a value not read here. @param field Name. @param expected Words. @param found A u16. @returns It. */
  unsupported(field: string, expected: string, found: number): TpmError {
    return new TpmError('TPM_UNSUPPORTED', `${this.#structure} ${field}: expected ${expected}, found ${hex16(found)}`)
  }

  #advance(length: number, field: string): number {
    const start = this.#offset
    const left = this.#bytes.length - start
    if (length > left) {
      throw new TpmError('TPM_TRUNCATED', `${this.#structure} ${field}: expected ${length} bytes, found ${left}`)
    }
    this.#offset = start + length
    return start
  }
}

function hex16(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`
}
