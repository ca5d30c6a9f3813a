/**
 * The frame of a TPM response: header, handle, parameters, and one authorisation for each session of the command.
 *
 * @see TCG TPM 2.0 Library, Part 1, 18.6 (Response Structure)
 * @module
 */
import { ByteReader } from '../byte-reader.ts'
import { TpmResponseError } from './response-code.ts'

/** Most bytes a TPM answers with; the kernel's buffer has this size. */
export const MAX_RESPONSE_BYTES = 4096

/** Bytes of tag, size and code, with which every response begins. */
export const HEADER_BYTES = 10

/** What the command's own shape says of its response. */
export interface ResponseShape {
  readonly hasHandle: boolean
  /** How many authorisations the command had. */
  readonly sessions: number
}

/** A response that succeeded, taken apart. */
export interface OpenedResponse {
  /** 0 when the response has none. */
  readonly handle: number
  readonly parameters: ByteReader
}

const TAG_NO_SESSIONS = 0x8001
const TAG_SESSIONS = 0x8002
// A TPM that could not read the command's tag answers in the manner of TPM 1.2.
const TAG_BAD = 0x00c4
const MAX_SESSION_BYTES = 64

/**
 * Opens a response.
 *
 * @param command The command's name, for messages.
 * @param bytes Untrusted bytes.
 * @param shape What the command's own shape says.
 * @returns Handle and parameters.
 * @throws {TpmResponseError} The TPM refused the command.
 * @throws {TpmError} `TPM_TRUNCATED`, `TPM_TRAILING`: too short or long. `TPM_MALFORMED`: another frame.
 */
export function openResponse(command: string, bytes: Uint8Array, shape: ResponseShape): OpenedResponse {
  const reader = new ByteReader(bytes, `response to ${command}`)
  const tag = reader.u16('tag')
  const size = reader.u32('size')
  if (bytes.length > MAX_RESPONSE_BYTES) {
    throw reader.malformed('size', `at most ${MAX_RESPONSE_BYTES} bytes`, `${bytes.length}`)
  }
  if (size !== bytes.length) throw reader.malformed('size', `${bytes.length} bytes`, `${size}`)
  const code = reader.u32('code')
  if (code !== 0) {
    if (tag !== TAG_NO_SESSIONS && tag !== TAG_BAD) throw reader.malformed('tag', '0x8001', hex(tag))
    reader.end()
    throw new TpmResponseError(command, code)
  }
  const expected = shape.sessions > 0 ? TAG_SESSIONS : TAG_NO_SESSIONS
  if (tag !== expected) throw reader.malformed('tag', hex(expected), hex(tag))
  const handle = shape.hasHandle ? reader.u32('handle') : 0
  const length =
    shape.sessions > 0 ? reader.u32('parameter size') : bytes.length - HEADER_BYTES - (shape.hasHandle ? 4 : 0)
  const parameters = new ByteReader(reader.take(length, 'parameters'), `response to ${command}`)
  for (let index = 0; index < shape.sessions; index++) skipSession(reader)
  reader.end()
  return { handle, parameters }
}

/**
 * Reads the code of a response without opening it.
 *
 * @param bytes A response of at least {@link HEADER_BYTES}.
 * @returns A u32; 0 for success.
 * @throws {TpmError} `TPM_TRUNCATED`: shorter.
 */
export function responseCodeOf(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes, 'response')
  reader.take(6, 'tag and size')
  return reader.u32('code')
}

// Neither a password nor a plain policy session is answered with anything to check.
function skipSession(reader: ByteReader): void {
  reader.sized(MAX_SESSION_BYTES, 'session nonce')
  reader.u8('session attributes')
  reader.sized(MAX_SESSION_BYTES, 'session hmac')
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`
}
